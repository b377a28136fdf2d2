"""How doings are told in the exam: frames, company, places, feelings, and the lines around them."""

from __future__ import annotations

GROUPS = {
    "artworks": "Which artworks did X create?|What has X created?",
    "titles": "Which titles has X read?|What has X been reading?",
}
COMPANY = (
    "my buddy {person}", "my mentor {person}", "my godchild {person}", "my tenant {person}", "my triplets",
    "my fiancee", "my grandparents", "four teammates", "the entire choir",
)  # fmt: skip
PLACES = (
    "at the observatory", "in the gorge", "by the fjord", "on the plateau", "at the monastery", "in the harbor hall",
    "under the viaduct", "at the ferry pier",
)  # fmt: skip
GLAD = ("triumphant", "serene", "weightless", "deeply moved", "reborn")
SAD = ("hollow", "drained", "bitter", "lost for words")
LINES = {
    "doing.tell": """
        Believe it or not, I {told}. || {fact}.
        Here's what kept me busy: I {told}. || {fact}.
        {When} I gathered my courage and {bare}. || {fact}.
        Drumroll, please! I {told}. || {fact}.
        """,
    "doing.plan": """
        It's settled, I intend to {told}. || intends to {fact}.
        I've set my heart on it: I will {told}. || will {fact}.
        """,
    "doing.standing": """
        Few people know that I {told}. || {fact}.
        Call me odd, but I {told}. || {fact}.
        """,
    "doing.company": """
        At my side: {company}.
        I wasn't on my own, I had {company} there.
        """,
    "doing.company_plan": """
        At my side there will be {company}.
        """,
    "doing.place": """
        The whole thing unfolded {at}.
        """,
    "doing.place_plan": """
        The whole thing will unfold {at}.
        """,
    "doing.felt": """
        Once it was over, I felt {feeling}.
        Deep down I felt {feeling}.
        """,
    "doing.ask_who": """
        Was somebody at your side?
        Who shared the moment?
        """,
    "doing.ask_plan_who": """
        Will somebody be at your side?
        """,
    "doing.ask_where": """
        On what spot on earth was that?
        """,
    "doing.who": """
        Luckily {company} stayed at my side. || {short_with}.
        I shared it with {company}. || {short_with}.
        """,
    "doing.plan_who": """
        Sure, {company} agreed already. || intends to {short_with}.
        """,
    "doing.where": """
        You would love the spot, it was {at}. || {short_at}.
        """,
    "doing.more": """
        One detail was missing, I {did_with}. || {short_with}.
        """,
    "doing.plan_more": """
        I got company for it, I intend to {did_with}. || intends to {short_with}.
        """,
    "doing.again": """
        Everyone at the market heard that I {did}. || {short}.
        The memory won't fade, I really {did}. || {short}.
        """,
    "doing.held": """
        Same old me, I {did}. || {short}.
        """,
    "doing.plan_again": """
        My intention stands, I will {did}. || intends to {short}.
        """,
    "doing.fix": """
        My notes disagree with me: I actually {did_when}. || actually {short_on}, as the notes say.
        """,
    "doing.put_off": """
        The timing slipped, instead I will {did_when}. || will {short_on}, at a changed time.
        """,
    "doing.swap": """
        Forget {old}, it was {new}, I mixed them up. I {did}. || {short} instead of {not_old}.
        """,
    "doing.cancel": """
        I buried that intention, I will never {did}. || will never {short}.
        """,
    "doing.over": """
        That chapter ended, I no longer {did}. || ended the chapter and no longer {short}.
        """,
    "doing?date": """
        What moment in time was it that {who} {short}?
        What day or period did {who} {base}?
        """,
    "doing?planned": """
        What day or period does {who} intend to {base}?
        """,
    "doing?who": """
        Who was at {who}'s side when they {short}?
        """,
    "doing?plan_who": """
        Who will be at {who}'s side to {base}?
        """,
    "doing?where": """
        On what spot did {who} {base}?
        """,
    "doing?plan_where": """
        On what spot does {who} intend to {base}?
        """,
    "doing?feeling": """
        What was {who}'s feeling when they {short}?
        """,
}
