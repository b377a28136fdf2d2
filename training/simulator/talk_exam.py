"""What is said in the exam beside facts; no line of it is said in another split."""

from __future__ import annotations

LINES = {
    "talk.greet": """
        Ahoy {you}!
        Greetings, dear {you}. Got a minute?
        Dear {you}, at last a quiet hour to hear from you! Is everything alright?
        """,
    "talk.greeted": """
        Ahoy ahoy, {you}!
        For you always, {you}.
        {you}, your messages are the best part of any evening!
        """,
    "talk.small": """
        My kettle is whistling, one second.
        Isn't it amazing how quickly evenings get dark?
        You crack me up.
        I couldn't agree more.
        Such things happen.
        Pardon, the pizza delivery is early.
        One never stops learning.
        You deserve a medal.
        Let's not get ahead of ourselves.
        The moon is huge tonight.
        Friendship like ours is a rare gift, dear {you}.
        It takes courage to stay gentle in a rough world.
        There is beauty everywhere for those who bother to look.
        """,
    "talk.encourage": """
        Chin up, {you}, brighter days will follow!
        Nobody deserves it more than you do.
        My door stands open for you at any hour.
        The sky is the limit, dear {you}!
        """,
    "talk.probe": """
        Spill the beans, what's cooking?
        Your turn, what's happening over there?
        Any adventures to report from your end, {you}?
        What occupies your thoughts, dear {you}?
        """,
    "talk.react": """
        I'm all ears.
        Well, I never!
        Noted, dear {you}.
        """,
    "talk.react_glad": """
        Splendid.
        No way!
        Marvelous, {you}, simply marvelous!
        That calls for a toast, dear {you}!
        """,
    "talk.react_sad": """
        Words fail me, dear {you}.
        How cruel, I hold you in my thoughts.
        """,
    "talk.noun_glad": """
        Goodness, {noun}! Color me impressed, {you}.
        {Noun} deserves a standing ovation!
        """,
    "talk.noun_sad": """
        What you write about {noun} breaks my heart, {you}.
        """,
    "talk.noun_ask": """
        Would you describe {noun} for me, {you}?
        Which moment of {noun} do you treasure?
        """,
    "talk.remark_glad": """
        I'm walking on clouds because of it.
        Nothing could top that!
        It was a moment to frame and hang on the wall.
        """,
    "talk.remark_living": """
        He has already chewed up a slipper.
        She naps on top of the fridge.
        The lady downstairs spoils him with treats.
        """,
    "talk.remark_sad": """
        There are no words for it.
        I try to keep my head above water.
        """,
    "talk.remark": """
        Do with that what you will.
        Who would have guessed?
        That's the whole story, dear {you}.
        """,
    "talk.photo": """
        Feast your eyes on this image!
        Behold the evidence in the attached picture!
        """,
    "talk.photo_noun": """
        Attached you'll see {noun} in full glory.
        """,
    "talk.answer": """
        Ha, you always ask the hard ones!
        Allow me to keep you in suspense.
        """,
    "talk.pet": """
        Scratch {name} behind the ears for me!
        Does {name} rule the household yet?
        """,
    "talk.also": """
        Apropos of nothing.
        And there's another thing.
        """,
    "talk.filler": """
        Picture this.
        I'll be honest.
        Brace yourself, dear {you}.
        You won't guess in a hundred years, {you}.
        """,
}
