"""How is asked in training, in several ways each."""

from __future__ import annotations

LINES = {
    "pet?list": """
        What are the names of {who}'s pets?
        What are {who}'s {kinds} called?
        Which {kinds} does {who} have?
        What are the names of {who}'s {kinds}?
        """,
    "pet?count": """
        How many pets does {who} have?
        How many animals live with {who}?
        What number of pets does {who} own?
        """,
    "pet?date": """
        When did {who} get {label}?
        When did {label} come to live with {who}?
        On what day did {who} bring {label} home?
        Since when does {who} have {label}?
        """,
    "pet?which": """
        What kind of animal is {who}'s pet {label}?
        What is {label}, the pet of {who}?
        Which animal is {label}?
        """,
    "pet?still": """
        Does {who} still have {label}?
        Is {label} still with {who}?
        """,
    "pet?yes": """
        Does {who} have a {kind}?
        Is there a {kind} at {who}'s home?
        Does {who} own a {kind}?
        """,
    "kin?list": """
        What are the names of {who}'s siblings?
        What are {who}'s {kinds} called?
        Who are {who}'s {kinds}?
        What are the names of {who}'s {kinds}?
        """,
    "kin?count": """
        How many siblings does {who} have?
        How many brothers and sisters does {who} have?
        """,
    "kin?which": """
        How is {label} related to {who}?
        Is {label} a brother or a sister of {who}?
        """,
    "kin?yes": """
        Does {who} have a {kind}?
        """,
    "thing?list": """
        Which things did {who} buy and still own?
        What has {who} bought and kept?
        """,
    "thing?date": """
        When did {who} buy the {label}?
        On what date did {who} get the {label}?
        When was it that {who} bought the {label}?
        """,
    "thing?still": """
        Does {who} still own the {label}?
        """,
    "thing?yes": """
        Does {who} own a {kind}?
        Has {who} bought a {kind}?
        """,
    "skill?list": """
        What is {who} learning?
        What does {who} take lessons in?
        """,
    "skill?date": """
        When did {who} start learning {label}?
        Since when has {who} been learning {label}?
        When did {who} take up {label}?
        """,
    "skill?still": """
        Is {who} still learning {label}?
        """,
    "skill?yes": """
        Is {who} learning {kind}?
        Does {who} take lessons in {kind}?
        """,
    "place?list": """
        Which cities did {who} visit?
        Which cities has {who} been to?
        Where has {who} traveled?
        What places has {who} seen?
        """,
    "place?count": """
        How many cities did {who} visit?
        How many cities has {who} been to?
        """,
    "place?date": """
        When did {who} visit {label}?
        When was {who} in {label}?
        On what date was {who}'s trip to {label}?
        """,
    "place?yes": """
        Has {who} been to {kind}?
        Did {who} ever visit {kind}?
        """,
    "home?current": """
        Where does {who} live?
        Which city does {who} live in?
        What city does {who} call home?
        Where is {who} living now?
        Where is {who}'s home?
        """,
    "home?previous": """
        Where did {who} live before {new}?
        Which city did {who} leave for {new}?
        Where was {who}'s home before {new}?
        From where did {who} move to {new}?
        """,
    "home?date": """
        When did {who} move to {new}?
        Since when does {who} live in {new}?
        On what date did {who} move to {new}?
        """,
    "job?current": """
        Where does {who} work?
        Which company does {who} work for?
        What is {who}'s workplace?
        Where does {who} have a job?
        What is {who}'s job?
        """,
    "job?previous": """
        Where did {who} work before {new}?
        Which employer did {who} leave for {new}?
        What was {who}'s workplace before {new}?
        """,
    "job?date": """
        When did {who} start at {new}?
        When did {who} begin to work at {new}?
        Since when does {who} work at {new}?
        """,
    "drink?current": """
        What is {who}'s favorite drink?
        What does {who} like to drink most?
        Which drink does {who} prefer?
        What does {who} love to drink?
        """,
    "drink?previous": """
        What was {who}'s favorite drink before {new}?
        What did {who} like to drink before {new}?
        """,
    "car?current": """
        What car does {who} drive?
        Which car does {who} have?
        What does {who} drive?
        """,
    "car?previous": """
        What car did {who} drive before the {new}?
        Which car did {who} have before the {new}?
        """,
    "car?date": """
        When did {who} get the {new}?
        On what date did {who} buy the {new}?
        """,
    "event?date": """
        When is {who} going to {the}?
        What is the date of {the} that {who} is going to?
        On which day is {who} going to {the}?
        When is {the} of {who} going to be?
        """,
    "event?person": """
        Who is going to {the} with {who}?
        Who goes along to {the} with {who}?
        With whom is {who} going to {the}?
        """,
    "event?previous": """
        What was the first date of {the} that {who} is going to?
        For when was {the} of {who} planned at first?
        """,
    "deed?date": """
        When was it that {who} {did}?
        On what day was it that {who} {did}?
        What was the date when {who} {did}?
        """,
    "deed?person": """
        Who was there when {who} {did}?
        Who was with {who} the time that {who} {did}?
        With whom was it that {who} {did}?
        """,
    "pain?current": """
        Which part of the body hurts {who}?
        What hurts {who}?
        Where does {who} feel pain?
        """,
    "diet?current": """
        What does {who} not eat?
        Which food does {who} avoid?
        What has {who} given up eating?
        """,
    "idea?current": """
        What is {who} thinking about doing?
        What does {who} dream of doing?
        What is on {who}'s mind to do one day?
        What idea does {who} have?
        """,
}
