"""What is said in training beside facts: greetings, reactions, questions back, wishes. No line of it holds a fact."""

from __future__ import annotations

LINES = {
    "talk.greet": """
        Hey {you}! How are you?
        Hi {you}, good to hear from you!
        Hello {you}! How was your week?
        Hey {you}, long time no see!
        Hey {you}! It feels like ages since we last talked. How have you been holding up?
        Hi {you}! I was just thinking of you. How's everything going over there?
        """,
    "talk.greeted": """
        Hi {you}! All good here.
        Hey {you}! Can't complain.
        Hello {you}, nice to hear from you too!
        Hey {you}! Great to hear from you, there is so much to catch up on.
        Hi {you}! It's been busy, but I'm hanging in there.
        """,
    "talk.small": """
        The weather is so strange at the moment.
        I know what you mean.
        Haha, that made me laugh.
        Time flies, doesn't it?
        I should really go to bed earlier.
        Thanks for listening, it means a lot.
        True. Anyway, tell me more!
        Let's hope for some sunshine.
        I could talk about this for hours.
        Sometimes I wonder where the day went.
        You have such a good sense of humor.
        Sorry, the connection was bad for a moment.
        That reminds me of an old movie.
        I hope you get some rest.
        Good things take time, I guess.
        Sounds like a plan.
        It's the little things in life that count, don't you think?
        I totally agree, taking care of ourselves is so important.
        Some days are just like that, and then everything looks brighter again.
        Having people who understand us makes all the difference.
        Life throws a lot at us, but we always find a way.
        It's not always easy, but it's worth it in the end.
        I guess everybody needs a little magic now and then.
        Thanks for your kind words, {you}, they really mean a lot to me.
        I'm so lucky to have a friend like you, {you}.
        Moments like these remind us of what really matters.
        Sleeping in on a Sunday is pure joy.
        Sitting by the fire is the best.
        Cooking together is wonderful.
        """,
    "talk.encourage": """
        You should be proud of yourself!
        I'm really proud of you, {you}.
        Keep it up, you're doing an awesome job!
        You've got this, {you}!
        Your passion is really inspiring.
        Don't be too hard on yourself, okay?
        I believe in you, no matter what happens.
        I'm always here for you if you want to talk.
        Let me know if there's anything I can do.
        I have no doubt that it will all work out.
        You have such a caring heart.
        I wish you all the best with it!
        Fingers crossed for you!
        """,
    "talk.probe": """
        What's new with you?
        And how are things on your side?
        Any plans these days?
        What have you been up to?
        How about you, {you}?
        Anything exciting going on in your life?
        What about you, {you}, what keeps you going at the moment?
        Have you done anything fun lately?
        What's on your mind these days, {you}?
        Anything you're looking forward to?
        """,
    "talk.react": """
        Thanks for telling me.
        Really? I had no idea.
        I see!
        Oh wow.
        Interesting, {you}!
        Thanks for sharing that with me, {you}.
        Got it, {you}, that makes sense.
        Oh, I did not expect that!
        """,
    "talk.react_glad": """
        That's wonderful!
        Wow, {you}, that's awesome!
        That sounds great, {you}!
        I'm so happy for you!
        Oh, how cool is that!
        Way to go, {you}!
        That's amazing, {you}! It must have been something special.
        Good for you! I love hearing stories like this.
        That sounds like a lot of fun!
        Two of them, how lovely!
        Another one? Your house must be full of life!
        So many good things at once!
        Three cheers for you!
        """,
    "talk.react_sad": """
        Oh no, I'm so sorry to hear that.
        That must be really hard for you, {you}.
        Sorry about that, {you}. Sending you a big hug.
        Oh dear, that's tough. Take all the time that you need.
        I can only imagine how hard that is.
        """,
    "talk.noun_glad": """
        Wow, {noun}! That sounds lovely, {you}.
        {Noun}? How exciting!
        I'd love to hear all about {noun}!
        Hearing about {noun} really made my day.
        {Noun} sounds so special, {you}, thanks for telling me!
        I love that you told me about {noun}, it's so inspiring.
        So there is {noun} now, {you}!
        First all the rest, and now {noun}!
        """,
    "talk.noun_sad": """
        I'm so sorry about {noun}, {you}.
        {Noun} must weigh on you a lot. I'm here for you.
        """,
    "talk.noun_ask": """
        What was the best part of {noun}?
        Do you have a picture of {noun}?
        I keep thinking about {noun}. Is there more to tell?
        How do you feel about {noun} now?
        Can you tell me more about {noun}, {you}?
        What made you think of {noun} in the first place?
        """,
    "talk.remark_glad": """
        It was such a great experience!
        I can't stop smiling about it.
        It was really worth it.
        It meant so much to me.
        What a nice change from everyday life.
        It really was one of those moments that stay with you.
        I wish you could have been there, {you}!
        It made me think a lot about life, to be honest.
        """,
    "talk.remark_living": """
        He sleeps a lot.
        She follows me everywhere.
        He eats everything that he can find.
        She barks at every bicycle.
        They get along very well already.
        He is a bit shy with strangers.
        My neighbor takes him out at noon.
        She wakes me up at six every morning.
        He likes to lie in the sun all day, so we spend hours at the window.
        """,
    "talk.remark_sad": """
        It's been really tough.
        I'm still trying to deal with it.
        I don't really know what to say about it.
        One day at a time, right?
        It hasn't been easy, but I try to stay positive.
        """,
    "talk.remark": """
        Isn't that something?
        So that's how it is.
        I thought you might like to know.
        It's a small thing, but it matters to me.
        You probably saw that coming.
        I just wanted to share that with you.
        It's funny how life goes sometimes.
        """,
    "talk.photo": """
        Here's a photo of it!
        Take a look at this picture!
        I took this picture for you, what do you think?
        Look at this one, isn't it beautiful?
        """,
    "talk.photo_noun": """
        Here's a photo of {noun}, what do you think?
        I found a picture of {noun} on my phone, have a look!
        """,
    "talk.answer": """
        Oh, it's a long story!
        Good question, I'll have to think about that.
        Honestly, I couldn't say.
        Thanks for asking, {you}!
        Well, it's hard to put into words.
        You'd have loved it, {you}.
        """,
    "talk.pet": """
        Give {name} a hug from me!
        How is {name} doing?
        I bet {name} keeps you on your toes. Tell {name} I said hello!
        """,
    "talk.also": """
        Oh, and one more thing.
        And I have something else to tell.
        By the way!
        Speaking of which, {you}.
        """,
    "talk.filler": """
        You know what?
        Well!
        Let me tell you something.
        Okay, listen.
        So, {you}, here's the latest.
        Hey {you}, I've been wanting to tell you this.
        Things have been pretty wild around here.
        """,
}
