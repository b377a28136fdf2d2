"""How things are said in training: lines of what is said, `||`, the fact in it, and for a change `||` the memory."""

from __future__ import annotations

LINES = {
    # Collections
    "pet.get": """
        I adopted {a} named {name} {when}! || adopted {a} named {name} {on}.
        We have news: {when} I picked up {a} from the shelter. I named {him} {name}. || got {a} named {name} {on}.
        Meet {name}, {a} that I brought home {when}. || brought home {a} named {name} {on}.
        My house got louder. I took in {a} {when}, and {he} is called {name}. || took in {a} named {name} {on}.
        I only have my {kind} {name}. || has a {kind} named {name}.
        And me, I live with my {kind} {name}. || lives with a {kind} named {name}.
        """,
    "pet.anon": """
        I finally got {a} {when}! || got {a} {on}.
        Guess what, I adopted {a} {when}. || adopted {a} {on}.
        """,
    "pet.asked": """
        How sweet! What's {his} name?
        Aww, what did you call {him}?
        Does {he} have a name yet?
        """,
    "pet.named": """
        {He} is called {name}. || 's {kind} is named {name}.
        I went with {name}. || named the {kind} {name}.
        {name}! It suits {him}. || 's {kind} is named {name}.
        """,
    "pet.again": """
        {name} is asleep on my feet as I write this. A {kind} is the best company. || has a {kind} named {name}.
        As you know I have a {kind}, {name}, and {he} ate my breakfast today. || has a {kind}, {name}.
        Life with a {kind} like {name} is never dull. || has a {kind} called {name}.
        """,
    "pet.lose": """
        I have sad news, {name} passed away {when}. || 's {kind} {name} passed away {on}.
        I couldn't keep {name}. My aunt has the {kind} now. || no longer has the {kind} {name}.
        I gave {name} away {when}, the {kind} needs a garden. || gave away the {kind} {name} {on}.
        """,
    "pet.fix": """
        I mixed up the days: I actually got {name} {when}. || actually got {name} {on}.
        Small correction, it was {when} that {name} came home. || 's corrected date: {name} came home {on}.
        """,
    "kin.get": """
        I have {a} named {name}. || has {a} named {name}.
        Did I ever tell you about {name}? That's {a} of mine. || has {a} named {name}.
        My family is coming over. I've got {a} called {name}, you know. || has {a} called {name}.
        """,
    "kin.again": """
        My {kind} {name} called me again this morning. || has a {kind} named {name}.
        {name} is such a typical {kind}, always teasing me. || has a {kind}, {name}.
        """,
    "thing.get": """
        I bought {a} {when}! || bought {a} {on}.
        I treated myself to {a} {when}. || got {a} {on}.
        I got a great deal on {a} {when}. || got {a} {on}.
        """,
    "thing.again": """
        I used my {kind} all afternoon. || owns a {kind}.
        The {kind} I own was worth every cent. || owns a {kind}.
        """,
    "thing.lose": """
        I sold the {kind} {when}. || sold the {kind} {on}.
        The {kind} is gone, I sold it to a neighbor. || sold the {kind}.
        Somebody else enjoys my {kind} these days, I gave it away. || gave away the {kind}.
        """,
    "thing.fix": """
        Looking at the receipt, I actually bought the {kind} {when}. || actually bought the {kind} {on}.
        I was mistaken about the {kind}, I bought it {when}. || was mistaken and bought the {kind} {on}.
        """,
    "skill.get": """
        I started learning {kind} {when}. || started learning {kind} {on}.
        I signed up for a {kind} class {when}! || signed up for {kind} {on}.
        I had my first lesson in {kind} {when}. || had a first lesson in {kind} {on}.
        """,
    "skill.again": """
        My {kind} homework is killing me. || is learning {kind}.
        Still practicing {kind} every evening. || is learning {kind}.
        """,
    "skill.lose": """
        I stopped learning {kind} {when}. || stopped learning {kind} {on}.
        {Kind} was too much for me, I quit. || quit learning {kind}.
        """,
    "skill.fix": """
        I told you wrong, I actually started with {kind} {when}. || actually started with {kind} {on}.
        """,
    "place.get": """
        I visited {kind} {when}, it was lovely. || visited {kind} {on}.
        I was in {kind} {when}! || was in {kind} {on}.
        {When} I took the train to {kind}. || took the train to {kind} {on}.
        """,
    "place.again": """
        I keep looking at my photos of {kind}. What a visit. || visited {kind}.
        Visiting {kind} was the highlight of my year. || visited {kind}.
        """,
    "place.fix": """
        I got the date wrong, I actually was in {kind} {when}. || actually was in {kind} {on}.
        """,
    # States
    "home.is": """
        I live in {new}. || lives in {new}.
        I've made {new} my home. || has a home in {new}.
        It's raining again here in {new}, where I live. || lives in {new}.
        """,
    "home.change": """
        Big news: I moved from {old} to {new} {when}! || moved from {old} to {new} {on}. || lives in {new} since {date}
        I left {old} {when}, I live in {new} now. || left {old} {on} and lives in {new} now.
            || lives in {new} since {date}
        I live in {new} now. || lives in {new} now. || lives in {new} now
        I packed everything and moved to {new} {when}. || moved to {new} {on}. || lives in {new} since {date}
        """,
    "home.fix": """
        Did I write {old}? I meant {new}, that's where I live. || meant {new}, not {old}.
        No wait, I live in {new}, not in {old}. || lives in {new}, not in {old}.
        """,
    "home.again": """
        The streets of {new} are full of tourists, and I live right there. || lives in {new}.
        Living in {new} is wonderful in this weather. || lives in {new}.
        """,
    "home.past": "lived in",
    "job.is": """
        I work at {new}. || works at {new}.
        I have a job at {new}, it pays the bills. || has a job at {new}.
        My desk at {new} is a mess, I work too much. || works at {new}.
        I just started at {new}, everybody is so kind. || started at {new}.
        I was hired by {new}! || was hired by {new}.
        """,
    "job.change": """
        I quit {old} and started at {new} {when}! || quit {old} and started at {new} {on}.
            || works at {new} since {date}
        I left {old} {when}. I work at {new} now. || left {old} {on} and works at {new} now.
            || works at {new} since {date}
        I switched jobs, I work at {new} now. || switched jobs and works at {new} now. || works at {new} now
        """,
    "job.fix": """
        Sorry, I typed {old}, but I work at {new}. || works at {new}, not at {old}.
        Autocorrect! It's {new} where I work, not {old}. || works at {new}, not at {old}.
        """,
    "job.again": """
        {new} keeps me busy, so much work. || works at {new}.
        Everybody where I work, at {new}, is on holiday. || works at {new}.
        """,
    "job.past": "worked at",
    "drink.is": """
        My favorite drink is {new}. || 's favorite drink is {new}.
        Nothing beats {new} in the morning, it's my favorite. || 's favorite drink is {new}.
        """,
    "drink.change": """
        I'm over {old}, my favorite is {new} now. || 's favorite drink is {new} now, not {old}.
            || 's favorite drink is {new}
        I prefer {new} to anything these days. || prefers {new} to any other drink. || 's favorite drink is {new}
        """,
    "drink.fix": """
        Not {old}! I meant to say {new} is my favorite. || 's favorite drink is {new}, not {old}.
        """,
    "drink.again": """
        I just made myself {new}, my favorite as always. || 's favorite drink is {new}.
        Another cup of {new} for me, my favorite. || 's favorite drink is {new}.
        """,
    "drink.past": "'s favorite drink was",
    "car.is": """
        I drive a {new}. || drives a {new}.
        My car is a {new}, it never lets me down. || 's car is a {new}.
        """,
    "car.change": """
        I traded my {old} for a {new} {when}, so I drive that now.
            || traded the {old} for a {new} {on} and drives that now.
            || drives a {new} since {date}
        I sold the {old}, I drive a {new} now. || sold the {old} and drives a {new} now. || drives a {new} now
        """,
    "car.fix": """
        I said {old}? It's a {new} that I drive, not a {old}. || drives a {new}, not a {old}.
        """,
    "car.again": """
        I washed my car, the {new} shines again. || 's car is a {new}.
        """,
    "car.past": "drove a",
    "state.history": "; before, {who} {past} {olds}",
    # Plans
    "event.plan": """
        I'm going to {event} {when}! || is going to {event} {on}.
        I got tickets for {event}, it is {when}. || has tickets for {event} {on}.
        {When} I will be at {event}. || will be at {event} {on}.
        I signed up for {event}, it starts {when}. || signed up for {event} {on}.
        """,
    "event.asked": """
        Nice! Are you going alone?
        Who's coming along?
        Is anybody going with you?
        """,
    "event.detail": """
        My friend {person} is coming along. || is going to {the} with a friend, {person}. || with a friend, {person}
        With {person}, an old friend. || is going to {the} with an old friend, {person}. || with an old friend, {person}
        """,
    "event.more": """
        {person} will join me for {the}. || is joined by {person} for {the}. || with {person}
        About {the}: I'm going with {person}. || is going to {the} with {person}. || with {person}
        """,
    "event.move": """
        They postponed {the}, now it is {when}. || 's date for {the} was postponed, it is {on} now.
        {The} was moved, it is {when} instead. || 's date for {the} was moved, it is {on} instead.
        """,
    "event.fix": """
        I misread the flyer: {the} is {when}. || misread the flyer, {the} is actually {on}.
        No, sorry, {the} is {when}, I was wrong. || was wrong, {the} is {on}.
        """,
    "event.cancel": """
        I'm not going to {the} after all. || is not going to {the} after all.
        They cancelled {the}. Too bad. || 's plan is off: {the} was cancelled.
        I changed my mind about {the}, I'm staying home. || is no longer going to {the}.
        """,
    "event.again": """
        I can't wait for {the}! || is going to {the}.
        I'm still going to {the}, of course. || is going to {the}.
        """,
    "event.moved": ", moved from {olds}",
    # Deeds
    "deed.tell": """
        I {did} {when}. || {did} {on}.
        You won't believe it: I {did} {when}! || {did} {on}.
        {When} I {did}. || {did} {on}.
        """,
    "deed.asked": """
        Wow! Did anybody help you?
        Were you on your own?
        """,
    "deed.detail": """
        {person} was with me. || {did} with {person}. || with {person}
        No, {person} came along. || {did} with {person}. || with {person}
        """,
    "deed.fix": """
        I looked it up: I actually {did} {when}. || actually {did} {on}.
        I was wrong about the day, I {did} {when}. || was wrong about the day and {did} {on}.
        """,
    "deed.again": """
        I still think about how I {did}. || {did}.
        As I told you, I {did}. It feels unreal. || {did}.
        """,
    # Flags
    "pain.is": """
        My {thing} hurts a lot lately. || 's {thing} hurts.
        I have trouble with my {thing}, it aches. || has trouble with the {thing}.
        """,
    "pain.over": """
        My {thing} no longer hurts, finally. || 's {thing} no longer hurts.
        The pain stopped, my {thing} is fine again. || 's pain in the {thing} stopped.
        """,
    "pain.again": """
        That {thing} of mine still hurts. || 's {thing} hurts.
        """,
    "diet.is": """
        I don't eat {thing}. || eats no {thing}.
        I cut out {thing} completely. || cut out {thing}.
        """,
    "diet.over": """
        I no longer avoid {thing}, I missed it. || no longer avoids {thing}.
        I stopped avoiding {thing}, life is short. || stopped avoiding {thing}.
        """,
    "diet.again": """
        No {thing} for me, as ever. || eats no {thing}.
        """,
    "idea.is": """
        I'm thinking about {thing}. || is thinking about {thing}.
        Lately I dream of {thing}. || dreams of {thing}.
        """,
    "idea.over": """
        I'm no longer thinking about {thing}, it was a silly idea. || is no longer thinking about {thing}.
        I gave up on {thing}. || gave up on {thing}.
        """,
    "idea.again": """
        I keep thinking about {thing}. || is thinking about {thing}.
        """,
}
