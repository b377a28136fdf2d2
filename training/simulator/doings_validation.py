"""How doings are told in validation: frames, company, places, feelings, and the lines around them."""

from __future__ import annotations

GROUPS = {
    "sketched": "What has X sketched?|What did X sketch?",
    "novels": "Which novels has X read?|What novels did X get to read?",
    "movies": "Which movies and series has X seen?|What did X see on screen?",
}
COMPANY = (
    "my pal {person}", "my flatmate {person}", "my coworker {person}", "my relative {person}", "my twins",
    "my girlfriend", "my father", "three classmates", "the whole team",
)  # fmt: skip
PLACES = (
    "at the youth hostel", "in the valley", "by the sea", "on the island", "behind the station", "at the sports hall",
    "in the woods", "at the parish house",
)  # fmt: skip
GLAD = ("overjoyed", "light as a feather", "thankful", "full of energy", "satisfied")
SAD = ("numb", "worn out", "miserable", "ashamed")
LINES = {
    "doing.tell": """
        Imagine, I {told}. || {fact}.
        Finally some news from me: I {told}. || {fact}.
        {When} I actually {bare}. || {fact}.
        What do you know, I {told}! || {fact}.
        """,
    "doing.plan": """
        My plan is to {told}. || plans to {fact}.
        I've made up my mind to {told}. || made up the mind to {fact}.
        """,
    "doing.standing": """
        If you ask me, I {told}. || {fact}.
        By now you may have guessed that I {told}. || {fact}.
        """,
    "doing.company": """
        {Company} joined in too.
        I shared that with {company}.
        """,
    "doing.company_plan": """
        I'd like to share that with {company}.
        """,
    "doing.place": """
        All of it took place {at}.
        """,
    "doing.place_plan": """
        It takes place {at}.
        """,
    "doing.felt": """
        It left me different, I felt {feeling}.
        In the end I felt {feeling}.
        """,
    "doing.ask_who": """
        Were you by yourself?
        And who kept you company?
        """,
    "doing.ask_plan_who": """
        Have you found someone to join you?
        """,
    "doing.ask_where": """
        At what place did that happen?
        """,
    "doing.who": """
        No no, {company} kept me company. || {short_with}.
        I had {company} at my side. || {short_with}.
        """,
    "doing.plan_who": """
        I have, I'll be with {company}. || plans to {short_with}.
        """,
    "doing.where": """
        Right there {at}. || {short_at}.
        """,
    "doing.more": """
        What I left out: I {did_with}. || {short_with}.
        """,
    "doing.plan_more": """
        I found company, the plan is to {did_with}. || plans to {short_with}.
        """,
    "doing.again": """
        It's still on my mind that I {did}. || {short}.
        Did I mention that I {did}? I guess I did. || {short}.
        """,
    "doing.held": """
        As ever, I {did}. || {short}.
        """,
    "doing.plan_again": """
        Nothing new, my plan is still to {did}. || plans to {short}.
        """,
    "doing.fix": """
        Scratch that date, I actually {did_when}. || actually {short_on}, by the right date.
        """,
    "doing.put_off": """
        Different timing: I now plan to {did_when}. || now plans to {short_on}.
        """,
    "doing.swap": """
        Slip of the tongue, not {old} but {new}. I {did}. || {short}, and not {not_old}.
        """,
    "doing.cancel": """
        I dropped my plan, I will not {did}. || will not {short}.
        """,
    "doing.over": """
        Times change, I don't do that now. I no longer {did}. || changed: no longer {short}.
        """,
    "doing?date": """
        On what date or in what period did {who} {base}?
        What is the date on which {who} {short}?
        """,
    "doing?planned": """
        For when does {who} plan to {base}?
        """,
    "doing?who": """
        With whom did {who} {base}?
        Who joined {who} to {base}?
        """,
    "doing?plan_who": """
        With whom does {who} plan to {base}?
        """,
    "doing?where": """
        At which place did {who} {base}?
        """,
    "doing?plan_where": """
        At which place does {who} plan to {base}?
        """,
    "doing?feeling": """
        What did {who} feel once they {short}?
        """,
}
