"""How doings are told in training: frames, company, places, feelings, and the lines around them."""

from __future__ import annotations

GROUPS = {
    "painted": "What has X painted?|What did X paint or draw?",
    "read": "What books has X read?|Which books did X read?",
    "watched": "What films has X seen?|Which films did X watch?",
    "cooked": "What has X cooked or baked?|What did X make in the kitchen?",
    "planted": "What did X plant?|What has X planted in the garden?",
}
COMPANY = (
    "my friend {person}", "my friend {person}", "my neighbor {person}", "my colleague {person}", "my cousin {person}",
    "my kids", "my partner", "my mother", "two colleagues", "some old friends",
)  # fmt: skip
PLACES = (
    "at the community center", "in the mountains", "at the lake", "by the river", "in the old town", "on the beach",
    "at a campground", "in the city park", "at the library", "near the harbor", "at the town hall",
    "in the countryside",
)  # fmt: skip
GLAD = ("proud", "so calm", "relieved", "happy and tired", "really alive", "grateful", "at peace", "inspired")
SAD = ("empty", "exhausted", "scared", "lonely", "helpless", "heartbroken")
LINES = {
    "doing.tell": """
        I {told}. || {fact}.
        I {told}! || {fact}.
        {When} I {bare}. || {fact}.
        {When}, I finally {bare}! || {fact}.
        Guess what, I {told}. || {fact}.
        So much has happened: I {told}. || {fact}.
        I haven't told you yet, but I {told}. || {fact}.
        """,
    "doing.plan": """
        I'm planning to {told}. || is planning to {fact}.
        I'm going to {told}! || is going to {fact}.
        {When} I'm going to {bare}. || is going to {fact}.
        I decided to {told}. || decided to {fact}.
        I can hardly wait, I'm going to {told}. || is going to {fact}.
        """,
    "doing.standing": """
        I {told}. || {fact}.
        I {told}, you know. || {fact}.
        Maybe I never said it, but I {told}. || {fact}.
        Something about me: I {told}. || {fact}.
        """,
    "doing.company": """
        I was with {company}.
        I did it with {company}.
        """,
    "doing.company_plan": """
        I'll do it with {company}.
        """,
    "doing.place": """
        That was {at}.
        It happened {at}.
        """,
    "doing.place_plan": """
        It will be {at}.
        """,
    "doing.felt": """
        I felt {feeling} afterwards.
        I felt {feeling}.
        Honestly, I felt {feeling}.
        """,
    "doing.ask_who": """
        Did anybody go with you?
        Who was there with you?
        Oh nice, did you have company?
        """,
    "doing.ask_plan_who": """
        Are you doing that on your own?
        Who will be with you?
        """,
    "doing.ask_where": """
        Where was that?
        Sounds interesting! Where did you do it?
        """,
    "doing.who": """
        Not alone, I was with {company}. || {short_with}.
        With {company}, we had a good laugh. || {short_with}.
        I was there with {company}. || {short_with}.
        """,
    "doing.plan_who": """
        No, with {company}. || is going to {short_with}.
        I'm doing it with {company}, of course. || is going to {short_with}.
        """,
    "doing.where": """
        It was {at}. || {short_at}.
        Oh, that was {at}. || {short_at}.
        """,
    "doing.more": """
        I forgot to say, when I {did}, I was with {company}. || {short_with}.
        You asked about {noun}: I {did_with}. || {short_with}.
        """,
    "doing.plan_more": """
        News about my plan to {did}: I'm doing it with {company}. || is going to {short_with}.
        I'm going to {did_with}, so I won't be alone. || is going to {short_with}.
        """,
    "doing.again": """
        I keep thinking about {noun}. I still can't believe that I {did}. || {short}.
        As I said, I {did}. || {short}.
        Remember that I {did}? People still ask me about it. || {short}.
        """,
    "doing.held": """
        You know me, I {did}. || {short}.
        I told you before, I {did}. || {short}.
        """,
    "doing.plan_again": """
        I'm still going to {did}, that hasn't changed. || is going to {short}.
        Yes, I'm going to {did}, as I told you. || is going to {short}.
        """,
    "doing.fix": """
        I checked my calendar, I actually {did_when}. || actually {short_on}.
        I gave you the wrong day, I {did_when}. || gave the wrong day and {short_on}.
        """,
    "doing.put_off": """
        The plan changed, I'm going to {did_when} instead. || is going to {short_on} instead.
        I had to move it, now I'm going to {did_when}. || is now going to {short_on}.
        """,
    "doing.swap": """
        Did I say {old}? I meant {new}. I {did}. || {short}, not {not_old}.
        I told you wrong, it wasn't {old}. I {did}. || was wrong about {not_old} and {short}.
        """,
    "doing.cancel": """
        I'm not going to {did} after all, something came up. || is not going to {short} after all.
        My plan to {did} is off, it got cancelled. || cancelled the plan to {short}.
        """,
    "doing.over": """
        That is over: I no longer {did}. || no longer {short}.
        I gave that up, I no longer {did}. || gave up and no longer {short}.
        """,
    "doing?date": """
        When did {who} {base}?
        When was it that {who} {short}?
        On which date did {who} {base}?
        """,
    "doing?planned": """
        When is {who} going to {base}?
        When does {who} plan to {base}?
        """,
    "doing?who": """
        Who did {who} {base} with?
        Who was with {who} when they {short}?
        """,
    "doing?plan_who": """
        Who is {who} going to {base} with?
        """,
    "doing?where": """
        Where did {who} {base}?
        Where was {who} when they {short}?
        """,
    "doing?plan_where": """
        Where is {who} going to {base}?
        """,
    "doing?feeling": """
        How did {who} feel after they {short}?
        How did {who} feel when they {short}?
        """,
}
