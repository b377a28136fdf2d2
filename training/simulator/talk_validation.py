"""What is said in validation beside facts; no line of it is said in another split."""

from __future__ import annotations

LINES = {
    "talk.greet": """
        Good day {you}, how do you do?
        {you}! Nice to see your name pop up.
        {you}, my favorite person! It's been a while, how is life treating you?
        """,
    "talk.greeted": """
        Good day to you, {you}!
        {you}! I was about to write to you.
        Well hello, {you}, what a pleasure to chat again!
        """,
    "talk.small": """
        It's freezing outside, isn't it?
        You always make me smile.
        Fair enough.
        Well, such is life.
        Let me get a tea first.
        That makes sense to me.
        Somebody is ringing at the door, hold on.
        I admire your patience.
        We should talk more often.
        A good chat like this recharges my batteries, {you}.
        Nobody tells you how fast the years go by once you grow up.
        Kindness goes further than people think, if you ask me.
        Your support is worth more than you know.
        """,
    "talk.encourage": """
        Hats off to you, {you}!
        I'm rooting for you, whatever comes.
        You can count on me, day or night.
        Trust yourself, you always find the right way.
        May it all turn out well for you!
        """,
    "talk.probe": """
        Anything going on in your life?
        What are you up to lately?
        And you, {you}, any stories for me?
        Now I'm curious about your days, how do they look?
        """,
    "talk.react": """
        Good to know!
        You don't say!
        Is that so, {you}?
        I appreciate that you tell me.
        """,
    "talk.react_glad": """
        Fantastic.
        How delightful, {you}!
        That brightens my whole day!
        Bravo, {you}, this is just terrific news.
        """,
    "talk.react_sad": """
        My heart goes out to you, {you}.
        That is awful, I wish I could help.
        """,
    "talk.noun_glad": """
        Tell me everything about {noun}!
        {Noun}, how terrific is that, {you}!
        So glad that you mentioned {noun}.
        """,
    "talk.noun_sad": """
        The news about {noun} makes me sad, {you}.
        """,
    "talk.noun_ask": """
        What do you remember most of {noun}?
        Did {noun} turn out the way you hoped?
        Does {noun} still keep you busy, {you}?
        """,
    "talk.remark_glad": """
        I'd do it all over again.
        What a treat that was!
        My cheeks still hurt from laughing.
        It gave me a whole new view of things.
        """,
    "talk.remark_living": """
        She snores louder than a tractor.
        He hides under the sofa whenever it thunders.
        My flatmate feeds her in the evenings.
        """,
    "talk.remark_sad": """
        It still hurts to speak of it.
        Some wounds need time.
        """,
    "talk.remark": """
        Now you know.
        Make of that what you like.
        There's no more to it than that, {you}.
        """,
    "talk.photo": """
        See the snapshot I'm sending along!
        What do you say to this shot?
        """,
    "talk.photo_noun": """
        I'm sending you a snapshot of {noun} as well.
        """,
    "talk.answer": """
        Where do I even begin?
        That's sweet of you to ask.
        I'd rather show you some day, {you}.
        """,
    "talk.pet": """
        Is {name} behaving well?
        Kiss {name} on the nose for me, will you?
        """,
    "talk.also": """
        On another note!
        Before I forget.
        """,
    "talk.filler": """
        Hmm.
        Let me see.
        You'll be surprised, {you}.
        Quite a lot going on here, I can tell you.
        """,
}
