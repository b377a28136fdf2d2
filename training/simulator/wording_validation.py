"""How things are said in validation; no line of it is said in training or in the exam."""

from __future__ import annotations

LINES = {
    # Collections
    "pet.get": """
        {When} we fell in love with {a} and took {him} home. {name} is the name. || took home {a} named {name} {on}.
        We welcomed {a} {when}. Our {name} is a joy. || welcomed {a} named {name} {on}.
        """,
    "pet.anon": """
        {When} we welcomed {a} into the family. || welcomed {a} {on}.
        """,
    "pet.asked": """
        And the name?
        Have you picked a name for {him}?
        """,
    "pet.named": """
        We decided on {name}. || decided to name the {kind} {name}.
        The name is {name}. || 's {kind} has the name {name}.
        """,
    "pet.again": """
        My {kind} {name} chased a fly for an hour. || has a {kind}, {name}, as a pet.
        """,
    "pet.lose": """
        {name} died {when}. I miss that {kind} so much. || 's {kind} {name} died {on}.
        A colleague took {name}, so the {kind} no longer lives with me. || 's {kind} {name} no longer lives there.
        """,
    "pet.fix": """
        Wrong day before! {name} really arrived {when}. || was wrong about the day, {name} arrived {on}.
        """,
    "kin.get": """
        I grew up with {a}, {name}. || grew up with {a} named {name}.
        There is also {name}, {a} I adore. || adores {a} named {name}.
        """,
    "kin.again": """
        I had a long chat with my {kind} {name}. || has a {kind} {name}.
        """,
    "thing.get": """
        I ordered {a} {when}, I love it. || ordered {a} {on}.
        I spent too much money on {a} {when}. || spent money on {a} {on}.
        """,
    "thing.again": """
        My {kind} needs a bit of cleaning. || has a {kind}.
        """,
    "thing.lose": """
        {When} I sold my {kind} online. || sold the {kind} online {on}.
        I lost the {kind}, it's nowhere to be found. || lost the {kind}.
        """,
    "thing.fix": """
        I got it wrong, I ordered the {kind} {when}. || was wrong and ordered the {kind} {on}.
        """,
    "skill.get": """
        I took up {kind} {when}. || took up {kind} {on}.
        {When} I began with {kind}. || began with {kind} {on}.
        """,
    "skill.again": """
        I'm slowly improving at {kind}. || is improving at {kind}.
        """,
    "skill.lose": """
        I gave up {kind} {when}. || gave up {kind} {on}.
        No more {kind} for me, I stopped. || stopped with {kind}.
        """,
    "skill.fix": """
        I have to correct myself, I began with {kind} {when}. || 's corrected start of {kind} is {on}.
        """,
    "place.get": """
        I spent a few days in {kind} {when}. || spent a few days in {kind} {on}.
        I toured {kind} {when}. || toured {kind} {on}.
        """,
    "place.again": """
        I'd love to see {kind} a second time, those days were great. || spent days in {kind}.
        """,
    "place.fix": """
        I was wrong, my calendar says I was in {kind} {when}. || was wrong and spent the days in {kind} {on}.
        """,
    # States
    "home.is": """
        I'm based in {new}. || is based in {new}.
        I rent a flat in {new}. || rents a flat in {new}.
        """,
    "home.change": """
        I relocated from {old} to {new} {when}, it changed everything. || changed homes from {old} to {new} {on}.
            || is based in {new} since {date}
        I gave up the flat in {old} and rent one in {new} now. || gave up the flat in {old} and rents one in {new} now.
            || rents a flat in {new} now
        """,
    "home.fix": """
        Slip of the tongue: {new} is where I'm based, not {old}. || is based in {new}, not in {old}.
        """,
    "home.again": """
        The buses in {new} were late again, typical for where I'm based. || is based in {new}.
        """,
    "home.past": "was based in",
    "job.is": """
        I'm employed at {new}. || is employed at {new}.
        {new} is my employer. || 's employer is {new}.
        """,
    "job.change": """
        I resigned from {old} {when}, {new} is my employer now. || resigned from {old} {on}, the employer is {new} now.
            || is employed at {new} since {date}
        I changed employers, it's {new} now. || changed employers, it is {new} now. || is employed at {new} now
        """,
    "job.fix": """
        I meant {new} as my employer, not {old}. || 's employer is {new}, not {old}.
        """,
    "job.again": """
        My employer, {new}, gave us cake. || 's employer is {new}.
        """,
    "job.past": "was employed at",
    "drink.is": """
        I love drinking {new}. || loves drinking {new}.
        """,
    "drink.change": """
        I switched from {old} to {new}, I love drinking that. || switched from {old} to {new}. || loves drinking {new}
        """,
    "drink.fix": """
        Correction, {new} is what I love drinking, not {old}. || loves drinking {new}, not {old}.
        """,
    "drink.again": """
        I'm drinking {new} right this minute, I love it. || loves drinking {new}.
        """,
    "drink.past": "loved drinking",
    "car.is": """
        I own a {new}, the car is ancient. || owns a {new} as a car.
        """,
    "car.change": """
        I replaced the {old} with a {new} {when}. || replaced the {old} with a {new} {on}; it is the car now.
            || owns a {new} as a car since {date}
        """,
    "car.fix": """
        The car I own is a {new}, I was wrong to call it a {old}. || was wrong, the car is a {new}.
        """,
    "car.again": """
        My car smells of wet dog, poor {new}. || owns a {new} as a car.
        """,
    "car.past": "owned a",
    "state.history": "; in the past, {who} {past} {olds}",
    # Plans
    "event.plan": """
        I've booked {event}, it takes place {when}. || has booked {event} {on}.
        {When} I'm attending {event}. || is attending {event} {on}.
        """,
    "event.asked": """
        Will you have company?
        """,
    "event.detail": """
        Yes, {person} will accompany me. || is accompanied by {person} to {the}. || accompanied by {person}
        """,
    "event.more": """
        {person} wants to accompany me to {the}. || is accompanied by {person} to {the}. || accompanied by {person}
        """,
    "event.move": """
        {The} has been rescheduled, it takes place {when}. || 's date for {the} was rescheduled, it takes place {on}.
        """,
    "event.fix": """
        I gave you the wrong date, {the} takes place {when}. || gave the wrong date, {the} takes place {on}.
        """,
    "event.cancel": """
        I returned my ticket for {the}, I can't attend. || returned the ticket for {the}.
        {The} is off, I'm no longer attending. || is no longer attending {the}.
        """,
    "event.again": """
        I'm so excited about {the}, I've booked it for real. || has booked {the}.
        """,
    "event.moved": ", rescheduled from {olds}",
    # Deeds
    "deed.tell": """
        {When} something happened: I {did}. || {did} {on}.
        I {did} {when}, can you imagine? || {did} {on}.
        """,
    "deed.asked": """
        Who else was around?
        """,
    "deed.detail": """
        Only {person} was around. || {did} while {person} was around. || while {person} was around
        """,
    "deed.fix": """
        I gave you the wrong day, I {did} {when}. || gave the wrong day and {did} {on}.
        """,
    "deed.again": """
        Remember that I {did}? I told everyone. || {did}.
        """,
    # Flags
    "pain.is": """
        I have a problem with my {thing}, it's quite painful. || has a painful problem with the {thing}.
        """,
    "pain.over": """
        My {thing} is painful no longer. || 's {thing} is no longer painful.
        """,
    "pain.again": """
        The {thing} is painful today as well. || 's {thing} is painful.
        """,
    "diet.is": """
        I keep away from {thing}. || keeps away from {thing}.
        """,
    "diet.over": """
        I no longer keep away from {thing}, it is back on my plate. || no longer keeps away from {thing}.
        """,
    "diet.again": """
        I asked for it without {thing}, you know I keep away from that. || keeps away from {thing}.
        """,
    "idea.is": """
        I'm considering {thing}. || is considering {thing}.
        """,
    "idea.over": """
        I'm not considering {thing} any more. || is not considering {thing} any more.
        """,
    "idea.again": """
        {Thing} is still something I'm considering. || is considering {thing}.
        """,
    # Questions
    "pet?list": "Which pets live with {who}, by name?",
    "pet?count": "What is the number of {who}'s pets?",
    "pet?date": "On which date did {label} come to {who}?",
    "pet?which": "{label} belongs to {who}: what animal is it?",
    "pet?still": "Is {label} still living with {who}?",
    "pet?yes": "Is there a {kind} in {who}'s home?",
    "kin?list": "Name the siblings of {who}.",
    "kin?count": "What is the number of {who}'s siblings?",
    "kin?which": "What is {label} to {who}?",
    "kin?yes": "Has {who} got a {kind}?",
    "thing?list": "What has {who} ordered or bought and kept?",
    "thing?date": "On which date did {who} order the {label}?",
    "thing?still": "Has {who} still got the {label}?",
    "thing?yes": "Has {who} got a {kind}?",
    "skill?list": "Which skills is {who} working on?",
    "skill?date": "On which date did {who} take up {label}?",
    "skill?still": "Does {who} still practice {label}?",
    "skill?yes": "Does {who} practice {kind}?",
    "place?list": "Name the cities where {who} has been.",
    "place?count": "In how many cities has {who} been?",
    "place?date": "On which date was {who} in {label}?",
    "place?yes": "Was {who} in {kind} at some point?",
    "home?current": "In which city is {who} based?",
    "home?previous": "In which city was {who} based prior to {new}?",
    "home?date": "Since when is {who} based in {new}?",
    "job?current": "Who is {who}'s employer?",
    "job?previous": "Who was {who}'s employer prior to {new}?",
    "job?date": "Since when is {who} employed at {new}?",
    "drink?current": "What does {who} love drinking?",
    "drink?previous": "What did {who} love drinking prior to {new}?",
    "car?current": "Which car does {who} own?",
    "car?previous": "Which car did {who} own prior to the {new}?",
    "car?date": "Since when does {who} own the {new}?",
    "event?date": "On which date does {who} attend {the}?",
    "event?person": "Who accompanies {who} to {the}?",
    "event?previous": "On which date was {the} of {who} at first?",
    "deed?date": "On which date did it happen that {who} {did}?",
    "deed?person": "Who was around while {who} {did}?",
    "pain?current": "What gives {who} pain?",
    "diet?current": "What food does {who} keep away from?",
    "idea?current": "What is {who} considering?",
}
