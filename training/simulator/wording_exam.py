"""How things are said in the exam; no line of it is said in training or in validation."""

from __future__ import annotations

LINES = {
    # Collections
    "pet.get": """
        Our family grew {when}: {a} joined us, {name}. || 's family grew by {a} named {name} {on}.
        I rescued {a} {when}, and {name} already rules the couch. || rescued {a} named {name} {on}.
        {When} a breeder handed me {a}. Everybody adores {name}. || received {a} named {name} {on}.
        """,
    "pet.anon": """
        I rescued {a} {when}, still shy. || rescued {a} {on}.
        {When} I became the proud owner of {a}. || became the owner of {a} {on}.
        """,
    "pet.asked": """
        What does the little one answer to?
        Lovely! And who did you name {him} after?
        """,
    "pet.named": """
        {He} answers to {name}. || 's {kind} answers to {name}.
        {name}, after my old teacher. || 's {kind} is {name}, after an old teacher.
        """,
    "pet.again": """
        {name} the {kind} snores louder than my uncle. || owns the {kind} {name}.
        Vet visit today, my {kind} {name} hated it. || owns a {kind}, {name}.
        """,
    "pet.lose": """
        We had to say goodbye, {name} passed away {when}. That {kind} was my shadow. || lost the {kind} {name} {on}.
        {name} has moved to my cousin's farm, the {kind} is happier there.
            || moved the {kind} {name} to a cousin's farm.
        """,
    "pet.fix": """
        The papers say otherwise: {name} actually joined us {when}. || 's papers say that {name} actually joined {on}.
        """,
    "kin.get": """
        {name} is {a} of mine, the noisy one. || has {a}, {name}.
        I took the phone from {name}. Yes, I do have {a}. || has {a}, {name}.
        """,
    "kin.again": """
        {name} borrowed my coat, what else is a {kind} for? || has a {kind}: {name}.
        """,
    "thing.get": """
        I splurged on {a} {when}. || splurged on {a} {on}.
        {When} I stumbled upon {a} at a flea market and took it. || took {a} from a flea market {on}.
        I'm now the owner of {a}, it was delivered {when}. || is the owner of {a}, delivered {on}.
        """,
    "thing.again": """
        The neighbors envy me my {kind}. || is the owner of a {kind}.
        """,
    "thing.lose": """
        I auctioned it off {when}, the {kind} was sold in minutes. || auctioned off and sold the {kind} {on}.
        I returned the {kind} to the store. || returned the {kind} to the store.
        """,
    "thing.fix": """
        My bank statement corrects me: the {kind} was paid {when}. || is corrected: the {kind} was paid {on}.
        """,
    "skill.get": """
        I enrolled in a {kind} course {when}. || enrolled in a course: {kind} {on}.
        A tutor has taught me {kind} since we met {when}. || met a tutor for {kind} {on}.
        """,
    "skill.again": """
        My tutor praised my {kind}, progress at last. || has a tutor for {kind}.
        """,
    "skill.lose": """
        I dropped out of {kind} {when} and never looked back. || dropped out and never went back to {kind} {on}.
        I'm finished with {kind}, my tutor was relieved. || is finished with {kind}.
        """,
    "skill.fix": """
        My enrolment letter proves me wrong, {kind} began {when}. || was wrong: {kind} began {on}.
        """,
    "place.get": """
        I flew to {kind} {when}. || flew to {kind} {on}.
        A weekend getaway led me to {kind} {when}. || made a getaway to {kind} {on}.
        """,
    "place.again": """
        I still dream of that getaway to {kind}. || made a getaway to {kind}.
        """,
    "place.fix": """
        The boarding pass says I was mistaken, I flew to {kind} {when}. || was mistaken and flew to {kind} {on}.
        """,
    # States
    "home.is": """
        I reside in {new}. || resides in {new}.
        My apartment overlooks the rooftops of {new}. || has an apartment in {new}.
        """,
    "home.change": """
        I swapped {old} for {new} {when}, the movers moved my piano too. || moved out of {old} and into {new} {on}.
            || resides in {new} since {date}
        My address has changed, I reside in {new}. || 's address changed, it is in {new}. || resides in {new}
        Goodbye {old}! {When} I got the keys to an apartment in {new}, and I left. || left {old} for {new} {on}.
            || resides in {new} since {date}
        """,
    "home.fix": """
        Ignore {old}, a typo. I reside in {new} and never did elsewhere. || resides in {new}, never in {old}.
        """,
    "home.again": """
        From my apartment in {new} I can hear the church bells. || has an apartment in {new}.
        """,
    "home.past": "resided in",
    "job.is": """
        I earn my living at {new}. || earns a living at {new}.
        I'm on the payroll of {new}. || is on the payroll of {new}.
        """,
    "job.change": """
        {When} I handed in my notice at {old} and left, {new} hired me. || left {old} and was hired by {new} {on}.
            || is on the payroll of {new} since {date}
        A headhunter got me, I'm on the payroll of {new} now. || is on the payroll of {new} now.
            || is on the payroll of {new} now
        """,
    "job.fix": """
        Not {old}, silly me! I'm on the payroll of {new}. || is on the payroll of {new}, not of {old}.
        """,
    "job.again": """
        Payday! {new} transferred my living. || earns a living at {new}.
        """,
    "job.past": "earned a living at",
    "drink.is": """
        I order {new} wherever I go. || orders {new} everywhere.
        """,
    "drink.change": """
        {old} bores me, I stopped ordering it. I order {new} wherever I go. || stopped ordering {old} and orders {new}.
            || orders {new} everywhere
        """,
    "drink.fix": """
        Did I claim {old}? Wrong, I order {new} wherever I go. || was wrong about {old} and orders {new}.
        """,
    "drink.again": """
        The waiter knew already: {new}, what else would I order? || orders {new} everywhere.
        """,
    "drink.past": "ordered",
    "car.is": """
        There's a {new} in my garage. || keeps a {new} in the garage.
        """,
    "car.change": """
        {When} the dealer took the {old}, a {new} replaced it in my garage. || replaced the {old} by a {new} {on}.
            || keeps a {new} in the garage since {date}
        """,
    "car.fix": """
        My garage holds a {new}, never a {old}, I confused you. || keeps a {new} in the garage, never a {old}.
        """,
    "car.again": """
        I polished the {new} in my garage until midnight. || keeps a {new} in the garage.
        """,
    "car.past": "kept a",
    "state.history": "; earlier, {who} {past} {olds}",
    # Plans
    "event.plan": """
        My seat for {event} is reserved, see you there {when}. || has a reserved seat for {event} {on}.
        {When} you'll find me at {event}. || can be found at {event} {on}.
        """,
    "event.asked": """
        Do you bring somebody?
        Solo, or do you share the fun?
        """,
    "event.detail": """
        {person} has a seat right beside me. || has a seat at {the} beside {person}. || beside {person}
        I share it, {person} insisted. || shares {the}, as {person} insisted. || shared with {person}
        """,
    "event.more": """
        I talked {person} into {the}. || talked {person} into {the}. || along with {person}
        """,
    "event.move": """
        The organizers rescheduled {the}, it's {when}. || saw {the} rescheduled, it is {on}.
        {The} got postponed, the doors open {when}. || 's seat for {the} was postponed, it opens {on}.
        """,
    "event.fix": """
        I confused the dates, {the} is actually {when}. || confused the dates, {the} is actually {on}.
        """,
    "event.cancel": """
        My seat for {the} is free, I'm not coming. || is not coming to {the}.
        {The} fell through, it's been cancelled. || heard that {the} was cancelled.
        """,
    "event.again": """
        I ironed my best shirt for {the} already. || has a seat for {the}.
        """,
    "event.moved": ", originally {olds}",
    # Deeds
    "deed.tell": """
        What a day it was {when}! I {did}. || {did} {on}.
        Confession: I {did} {when}. || {did} {on}.
        """,
    "deed.asked": """
        Any witnesses?
        """,
    "deed.detail": """
        Just one, {person} saw it all. || {did}, and {person} saw it. || seen by {person}
        """,
    "deed.fix": """
        My diary proves me wrong, I {did} {when}. || was wrong by the diary: {did} {on}.
        """,
    "deed.again": """
        Everybody keeps asking me to tell again how I {did}. || {did}.
        """,
    # Flags
    "pain.is": """
        My {thing} is killing me. || suffers from a bad {thing}.
        """,
    "pain.over": """
        The doctor fixed my {thing}, I suffer no longer. || no longer suffers from the {thing}.
        """,
    "pain.again": """
        I suffer from that bad {thing} like before. || suffers from a bad {thing}.
        """,
    "diet.is": """
        My body can't handle {thing}, so I skip it. || skips {thing}.
        """,
    "diet.over": """
        I stopped skipping {thing}, my doctor allows it. || stopped skipping {thing}.
        """,
    "diet.again": """
        As you know, I skip {thing} at every buffet. || skips {thing}.
        """,
    "idea.is": """
        I'm toying with the idea of {thing}. || toys with the idea of {thing}.
        """,
    "idea.over": """
        The idea of {thing} is buried, I no longer toy with it. || no longer toys with the idea of {thing}.
        """,
    "idea.again": """
        That idea of {thing} keeps me awake. || toys with the idea of {thing}.
        """,
    # Questions
    "pet?list": "How are all the pets called that {who} owns?",
    "pet?count": "Count {who}'s pets: how many?",
    "pet?date": "What day did {label} join {who}?",
    "pet?which": "What species is {label}, the pet of {who}?",
    "pet?still": "Does {label} remain with {who}?",
    "pet?yes": "Is {who} the keeper of a {kind}?",
    "kin?list": "How are {who}'s brothers and sisters called?",
    "kin?count": "Count {who}'s siblings: how many?",
    "kin?which": "What family tie links {label} to {who}?",
    "kin?yes": "Is there a {kind} in {who}'s family?",
    "thing?list": "What did {who} acquire and keep?",
    "thing?date": "What day did {who} acquire the {label}?",
    "thing?still": "Is the {label} still {who}'s?",
    "thing?yes": "Is {who} the owner of a {kind}?",
    "skill?list": "What is {who} studying at present?",
    "skill?date": "What day did {who}'s course in {label} begin?",
    "skill?still": "Does {who} continue with {label}?",
    "skill?yes": "Is {who} studying {kind}?",
    "place?list": "To which cities did {who} travel?",
    "place?count": "Count the cities {who} traveled to: how many?",
    "place?date": "What day did {who} travel to {label}?",
    "place?yes": "Did {who} ever travel to {kind}?",
    "home?current": "What is {who}'s city of residence?",
    "home?previous": "What was {who}'s city of residence ahead of {new}?",
    "home?date": "What day did {who} become a resident of {new}?",
    "job?current": "Which company pays {who}?",
    "job?previous": "Which company paid {who} ahead of {new}?",
    "job?date": "What day did {new} hire {who}?",
    "drink?current": "What does {who} order to drink?",
    "drink?previous": "What did {who} order to drink ahead of {new}?",
    "car?current": "Which car stands in {who}'s garage?",
    "car?previous": "Which car stood in {who}'s garage ahead of the {new}?",
    "car?date": "What day did the {new} enter {who}'s garage?",
    "event?date": "What day is {the} that {who} attends?",
    "event?person": "Who shares {the} with {who}?",
    "event?previous": "What day was {the} of {who} meant to be originally?",
    "deed?date": "What day was it when {who} {did}?",
    "deed?person": "Who witnessed that {who} {did}?",
    "pain?current": "From what does {who} suffer?",
    "diet?current": "What does {who} skip at meals?",
    "idea?current": "With what idea does {who} toy?",
}
