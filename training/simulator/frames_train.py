"""What doings and standing facts there are in training; the form of a frame is told in `doings`."""

# ruff: noqa: E501 - a frame is one line.
from __future__ import annotations

PAST = """
    took/take my kids to <the aquarium|a puppet theater|the science museum|a water park|the planetarium> || my day at {1} || wf || Where did X take their kids?=1
    painted/paint <a sunset|a lighthouse|a field of poppies|a portrait of my grandmother|a foggy harbor>(^ in <watercolor|oil|pastel>) || my painting || p#painted || What did X use for the painting of {1}?=2
    finished/finish a painting of <two herons|a red barn|an old bridge|a winter forest> || the painting of {1} || #painted
    drew/draw <a cartoon of my boss|a tree full of owls|my own hands> with charcoal || my drawing || #painted
    read/read the book <"The Salt Road"|"Winter Tides"|"A House of Glass"|"The Beekeeper's Map"> || {1} || #read
    finished/finish reading <"Letters to the North"|"The Quiet Orchard"|"Seven Bridges"|"A Year of Rain">^( on the recommendation of <my boss|my book club>) || {1} || #read || Who recommended {1} to X?=2
    listened/listen to the audiobook of <"The Last Ferry"|"Small Gods of Rivers"|"Ashes and Honey"> || {1} || #read
    watched/watch the film <"Midnight Harbor"|"The Clockmaker"|"Paper Moons"|"Northern Lights">^( and cried at the end) || {1} || w#watched
    watched/watch the documentary <"Blue Planet Kitchen"|"The Silent Forest"|"Wheels of Hope"> || {1} || w#watched
    baked/bake <a lemon cake|cinnamon rolls|a blueberry pie|sourdough bread>^( for <my neighbor's birthday|the school fair|my colleagues>) || {1} || f#cooked || What did X bake {1} for?=2
    cooked/cook <a mushroom risotto|a Thai curry|lentil soup|stuffed peppers>^( from <my grandmother's recipe|an old cookbook|a video>) || my {1} || w#cooked || Where did X get the recipe for {1}?=2
    made/make <strawberry jam|fresh pasta|a vegan lasagna|pumpkin ravioli> from scratch || the cooking || w#cooked
    planted/plant <tulips|tomatoes|lavender|a cherry tree|sunflowers> in <the front yard|a raised bed|big clay pots> || my garden || f#planted || Where did X plant {1}?=2
    sowed/sow <carrots|wildflowers|pumpkins|spinach> behind the shed || the patch behind the shed || #planted
    harvested/harvest <two baskets of plums|our first zucchini|forty onions|a bucket of beans> || the harvest || w || What did X harvest?=1
    hiked/hike <up a volcano|along the coast|through a canyon|to a hidden lake>^( and saw <an eagle|a herd of deer|a rainbow|wild goats>) || my hike || wf || Where did X hike?=1 || What did X see on the hike?=2
    went/go camping <at the beach|in the mountains|in the forest|by a river> || my camping trip || wf || Where did X camp?=1
    went/go kayaking^ and saw <a family of otters|a seal|two swans|a beaver> || my kayaking tour || wp || What did X see while kayaking?=1
    went/go stargazing^ and counted <nine|eleven|seven|fourteen> shooting stars || the stargazing || wp || How many shooting stars did X count?=1
    ran/run a charity race for <mental health|cancer research|the animal shelter|homeless families> || the charity race || wpf || What was X's charity race for?=1
    finished/finish my first <triathlon|marathon|bike tour|open water swim>^( in <four hours|under three hours|pouring rain>) || my first {1} || p || What race did X finish for the first time?=1
    signed/sign up for <a yoga class|a boxing course|swimming lessons|a climbing course>^ because <my back was stiff|I wanted to get stronger|my doctor told me to move more|I needed a way to destress> || {1} || # || What did X sign up for?=1 || Why did X sign up for {1}?=2
    joined/join <a running club|a rowing team|a local choir|a hiking group>^( to <meet new people|get out of the house|stay in shape>) || {1} || w || What did X join?=1 || Why did X join {1}?=2
    scored/score <the winning goal|two goals|my first hat-trick> in a soccer match || the match || p || What did X score in the soccer match?=1
    won/win <first prize|a silver medal|second place> in a <photo contest|baking contest|dance competition> || the {2} || p || What did X win in the {2}?=1 || In what contest did X win {1}?=2
    performed/perform <a violin solo|three of my own songs|a tap dance|a piano duet> at <the school gala|an open mic night|a charity concert> || my performance || w || What did X perform at {2}?=1 || Where did X perform {1}?=2
    wrote/write a song about <my hometown|losing a friend|growing up|the sea> || my song || w || What is X's song about?=1
    went/go to a concert of <the Velvet Foxes|Marla Quinn|the Copper Strings|Blind Lantern> || the concert || wpf || Whose concert did X go to?=1
    visited/visit <an exhibition of street art|the railway museum|a sculpture garden|a gallery of old maps> || {1} || wpf || Which exhibition or museum did X visit?=1
    took/take a <pottery|glassblowing|screen printing|candle making> workshop^( and made <a bowl|a vase|three mugs|a lamp>) || the {1} workshop || wpf || What workshop did X take?=1 || What did X make at the {1} workshop?=2
    knitted/knit <a blue scarf|a baby blanket|mittens|a striped sweater> for <my niece|my aunt|my best friend> || {1} || f || What did X knit?=1 || For whom did X knit {1}?=2
    volunteered/volunteer at <a soup kitchen|the animal shelter|a beach cleanup|a blood drive|the food bank> || the volunteering || wpf || Where did X volunteer?=1
    organized/organize <a toy drive|a neighborhood party|a fundraiser for the library|a clothes swap>^( and <raised 800 dollars|forty people came|the whole street came>) || {1} || wf || What did X organize?=1 || What came of {1} that X organized?=2
    donated/donate <my old books|winter clothes|a box of toys|half of my furniture> to <a shelter|the hospital|a refugee center> || the donation || f || What did X donate?=1 || To whom did X donate {1}?=2
    marched/march <for clean air|for equal pay|against the new highway|for affordable housing>^( and held <a hand-painted sign|a rainbow flag|a huge banner>) || the march || wp || What did X march for or against?=1 || What did X hold at the march?=2
    spoke/speak at a <town council meeting|school assembly|rally> about <road safety|the new playground|my coming out|recycling> || my speech || f || What did X speak about at a {1}?=2 || Where did X speak about {2}?=1
    signed/sign a petition against <the closing of the library|cutting down the oaks|higher bus fares> || the petition || || What did X sign a petition against?=1
    attended/attend <a support group|a pride parade|a prayer meeting|an interfaith dinner> || {1} || wpf || What gathering did X attend?=1
    celebrated/celebrate <Hanukkah|Diwali|Easter|the end of Ramadan>^( with <candles and songs|a huge meal|the whole family>) || {1} || p || What did X celebrate?=1 || How did X celebrate {1}?=2
    got/get baptized^ in <a lake|a small chapel|my childhood church> || my baptism || || Where was X baptized?=1
    came/come out as <bisexual|transgender|gay> to <my parents|my coworkers|my best friend> || coming out || || To whom did X come out?=2
    lost/lose my <grandfather|aunt|godmother|uncle> to <cancer|a stroke|heart failure> || my loss || s || Of what did X's {1} die?=2
    scattered/scatter the ashes of my <father|grandmother|old teacher> <in the sea|on a hill|under an oak> || the farewell || sw || Where did X scatter the ashes of their {1}?=2
    broke/break up with my <girlfriend|boyfriend> after <two years|six months|a long fight> || the breakup || s || After what did X break up with their {1}?=2
    got/get engaged to my <girlfriend|boyfriend|partner>^ on <a ferry|a mountain top|a snowy bridge> || my engagement || || Where did X get engaged?=2
    celebrated/celebrate our <fifth|tenth|twelfth|third> wedding anniversary^( at <a tiny restaurant|a jazz club|the lake>) || our anniversary || || Which wedding anniversary did X celebrate?=1 || Where did X celebrate the wedding anniversary?=2
    threw/throw a surprise party for <my father-in-law|my roommate|my best friend|my niece> || the surprise party || wpf || For whom did X throw a surprise party?=1
    met/meet <my birth mother|an old classmate|my favorite author|my former coach> || meeting {1} || pf || Whom did X meet?=1
    reconnected/reconnect with <my college roommate|an uncle I never knew|my first teacher> after <ten years|a long silence|twenty years> || {1} || || With whom did X reconnect?=1 || After how long did X reconnect with {1}?=2
    became/become <an aunt|a godfather|a grandparent|a foster parent>^( to <twins|a baby girl|a little boy>) || the family news || || What did X become in the family?=1 || To whom did X become {1}?=2
    taught/teach my <son|daughter|nephew> to <ride a bike|swim|tie knots|play checkers> || the lesson || wf || What did X teach their {1}?=2
    built/build <a treehouse|a sandcastle|a doghouse|a snow fort> with my <kids|nephew|stepdaughter> || {1} || p || What did X build with their {2}?=1
    sprained/sprain my <ankle|wrist|thumb>^ while <skating|moving a couch|chasing a bus> || my {1} || s || What was X doing when they sprained their {1}?=2
    had/have surgery on my <knee|eye|shoulder|jaw>^( and stayed in the hospital for <three days|a week|two nights>) || the surgery || s || What did X have surgery on?=1 || How long did X stay in the hospital?=2
    got/get diagnosed with <asthma|high blood pressure|a thyroid problem|migraine> || the diagnosis || s || What was X diagnosed with?=1
    quit/quit smoking^( with the help of <an app|a support line|my partner|chewing gum>) || quitting || || What helped X to quit smoking?=1
    started/start therapy^ to deal with <stress|panic attacks|my divorce|old fears> || the therapy || || What does X deal with in therapy?=1
    started/start meditating^( because <work stressed me out|I could not sleep|a podcast praised it>) || the meditating || w || Why did X start meditating?=1
    got/get promoted^ to <team leader|head chef|senior nurse|store manager> || my promotion || || What was X promoted to?=1
    lost/lose my job^ because <the shop closed|the budget was cut|the project ended> || the job loss || s || Why did X lose the job?=1
    gave/give a talk about <bees|data safety|public transport|Viking ships> at <a conference|the library|a museum> || my talk || f || What was X's talk at {2} about?=1 || Where did X give the talk about {1}?=2
    launched/launch <an online shop|a newsletter|a bakery stand|a design studio> for <handmade soap|vintage maps|wedding flowers|wooden toys> || {1} || f || What did X launch?=1 || What is {1} of X for?=2
    passed/pass <the bar exam|my nursing exam|the sailing test|my statistics final>^( on the <first|second|third> try) || {1} || || Which exam did X pass?=1 || On which try did X pass {1}?=2
    failed/fail <the math exam|my first audition|the language test> || {1} || s || What did X fail?=1
    graduated/graduate from <evening school|law school|a coding bootcamp|art college>^( with <honors|top marks>) || my graduation || || What did X graduate from?=1
    applied/apply for <a scholarship|a research grant|a teaching position|an internship at a zoo> || the application || f || What did X apply for?=1
    paid/pay off <my student loan|my credit card|the mortgage>^( after <six years|nine years|a decade>) || paying off {1} || || What did X pay off?=1 || After how long did X pay off {1}?=2
    saved/save <500|900|1200|2000> dollars for <a trip|a new roof|an emergency fund> || my savings || || How much did X save for {2}?=1 || What did X save {1} dollars for?=2
    fixed/fix <the leaking sink|the garage door|a broken window|the squeaky stairs> by <watching videos|borrowing tools|trial and error> || {1} || wf || What did X fix at home?=1 || How did X fix {1}?=2
    painted/paint the <bedroom|hallway|nursery|porch> <mint green|pale yellow|dark blue|warm gray> || the {1} || wf || What color did X paint the {1}?=2 || Which room did X paint {2}?=1
    had/have a flood in <the basement|the laundry room|the garage>^( that ruined <the carpet|my photo albums|two bikes>) || the flood || s || Where did X have a flood?=1 || What did the flood at X's place ruin?=2
    lost/lose <part of the roof|the garden fence|an old pine tree> in <a storm|a hailstorm|a tornado> || the storm damage || s || What did X lose in {2}?=1
    restored/restore <an old motorcycle|a vintage truck|a wooden boat|a jukebox>^( that once was <my uncle's|a wreck|in a museum>) || {1} || w || What did X restore?=1
    had/have a car accident^ on <the highway|an icy road|the way to work> || the accident || s || Where did X have a car accident?=1
    got/get a flat tire^ <in the middle of nowhere|on a bridge|right before a meeting> || the flat tire || s || Where or when did X get a flat tire?=1
    went/go on a road trip to <the desert|the fjords|a national park|the lake district>^( and slept in <a van|a tent|tiny motels>) || the road trip || wf || Where did X's road trip go to?=1 || In what did X sleep on the road trip?=2
    flew/fly in a <hot air balloon|helicopter|glider|seaplane> || the flight in a {1} || wpf || In what did X fly?=1
    tried/try <scuba diving|snowboarding|archery|horse riding|surfing> for the first time || {1} || wpf || What did X try for the first time?=1
    rescued/rescue <a hedgehog|an injured owl|three ducklings|a lost puppy> from <a drain|a busy road|a net> || {1} || || What did X rescue?=1 || From where did X rescue {1}?=2
    spotted/spot <a fox|a woodpecker|a turtle|a kingfisher> <near the pond|in the park|on my way home> || the {1} I saw || || What animal did X spot?=1 || Where did X spot {1}?=2
    built/build <a birdhouse|an insect hotel|a rain barrel> for the garden || {1} || wf || What did X build for the garden?=1
    completed/complete the video game <"Star Harvest"|"Iron Valley"|"Moonlit Depths"|"Goblin Express"> || {1} || || Which video game did X complete?=1
    won/win <an online tournament|a board game night|a poker evening|a trivia night> || {1} || wp || What game event did X win?=1
    set/set up <a smart home|a home server|a 3D printer|a weather station>^( and it took <a whole weekend|five hours|three tries>) || {1} || w || What did X set up?=1 || How long did X take to set up {1}?=2
    built/build a <robot|website|drone|phone app> for <the school club|my mother's shop|counting birds> || the {1} || wf || What did X build for {2}?=1 || What did X build a {1} for?=2
    found/find <my old diary|a box of letters|my first camera|a lost ring> in <the attic|a coat pocket|a suitcase> || {1} || || What did X find in {2}?=1 || Where did X find {1}?=2
    dreamed/dream about <flying over a city|my old school|a talking whale> || the dream || || What did X dream about?=1
    sang/sing <a lullaby|old folk songs|carols> at <a nursing home|a wedding|the town square> || the singing || wf || What did X sing at {2}?=1 || Where did X sing {1}?=2
    had/have a picnic^ <by the canal|under the cherry trees|on the roof>( and played <cards|frisbee|guitar>) || the picnic || wf || Where did X have a picnic?=1 || What did X play at the picnic?=2
    hosted/host <a game night|a garden dinner|a karaoke party|a tea party>^ for <ten|six|twenty> guests || {1} || f || What did X host?=1 || How many guests did X have at {1}?=2
    adopted/adopt a <vegetarian|low salt|Mediterranean> diet^ because <I wanted more energy|of my cholesterol|a friend inspired me> || my diet || || Why did X adopt a {1} diet?=2 || What diet did X adopt?=1
"""
STANDING = """
    love/loves <gardening|long walks|baking|birdwatching> because <it calms me down|it clears my head|it reminds me of my mother> || {1} || || What does X love doing?=1 || Why does X love {1}?=2
    enjoy/enjoys <swimming in the sea|early morning runs|board games|camping> with <my family|my kids|my neighbors> || {1} || || What does X enjoy with {2}?=1 || With whom does X enjoy {1}?=2
    want/wants to become <a nurse|a counselor|a pilot|a pastry chef|a park ranger>^( because <I love helping people|my aunt was one|I love being outdoors>) || my dream job || x || What does X want to become?=1 || Why does X want to become {1}?=2
    hope/hopes to <open a bakery|adopt a child|see the northern lights|publish a poetry book> one day || my big dream || || What does X hope to do one day?=1
    am/is part of <a book club|a climate group|an amateur theater|a gospel choir>^( that meets <every Tuesday|twice a month|on Sunday mornings>) || {1} || x || What group is X part of?=1 || How often or when does {1} of X meet?=2
    volunteer/volunteers at <a youth center|the wildlife hospital|a crisis hotline|a community garden> <every Saturday|every Wednesday|every other weekend> || my volunteering || x || How often or when does X volunteer?=2 || Where does X regularly volunteer?=1
    have/has been married for <five|eight|eleven|fifteen> years || my marriage || || How long has X been married?=1
    have/has been <vegan|sober|single|a teacher|a night owl> for <three|four|seven|nine> years || that time || || How long has X been {1}?=2
    have/has been playing <the drums|tennis|the clarinet|badminton> since <I was eight|high school|my twenties> || {1} || || What does X play?=1 || Since when has X been playing {1}?=2
    have/has known my best friend since <kindergarten|college|summer camp|my first job> || my best friend || || Since when has X known the best friend?=1
    collect/collects <stamps|vinyl records|seashells|old postcards|fountain pens>^(, <over two hundred|about sixty|more than ninety> of them) || my collection || x || What does X collect?=1
    go/goes <jogging|dancing|swimming|bowling> every <Monday|Thursday|Sunday> to <relax|stay fit|see friends> || {1} || x || What does X do every {2}?=1 || Why does X go {1}?=3
    destress/destresses by <running|knitting|playing the guitar|taking hot baths> || {1} || || How does X destress?=1
    teach/teaches <yoga|refugees to read|chess to kids|water aerobics> <on weekends|in the evenings|at a community college> || the teaching || x || What does X teach?=1 || When or where does X teach {1}?=2
    coach/coaches <a girls' soccer team|a swim team|a debate club> at <the local school|a sports center> || {1} || x || What does X coach?=1
    grew/grew up <on a farm|in a small fishing village|in a big noisy family|near an airport> || my childhood || || Where did X grow up?=1
    come/comes from a family of <farmers|musicians|teachers|sailors> || my family || || What kind of family does X come from?=1
    remember/remembers <picking berries|baking bread|fishing|watching old westerns> with my <grandfather|grandmother|great-aunt> as a child || that memory || || What does X remember doing with the {2} as a child?=1 || With whom did X go {1} as a child?=2
    was/was bullied at school for <my accent|my glasses|being shy|my height> || that time at school || s || For what was X bullied at school?=1
    miss/misses <my late grandmother|my old neighborhood|living by the sea|my college friends> || {1} || s || Whom or what does X miss?=1
    am/is afraid of <spiders|flying|heights|deep water>^ since <childhood|an accident|a bad movie> || my fear || || What is X afraid of?=1 || Since when is X afraid of {1}?=2
    am/is allergic to <bee stings|pollen|latex|strawberries> || my allergy || || What is X allergic to?=1
    identify/identifies as <a Buddhist|a Quaker|nonbinary|an atheist|a feminist> || who I am || || As what does X identify?=1
    pray/prays <every morning|every evening|every Friday> for <peace|my family|patience> || my prayers || || When does X pray?=1 || For what does X pray?=2
    believe/believes in <free public transport|a four-day week|smaller classes|community gardens> || {1} || || What does X believe in?=1
    save/saves money for <a sailing trip|a house by a lake|my daughter's studies|a camper van> || my savings plan || x || What does X save money for?=1
    write/writes <short stories|a travel blog|poems|a cooking column> about <everyday life|forgotten places|family> || my writing || x || What does X write?=1 || What are X's {1} about?=2
    wear/wears a <silver ring|wooden bracelet|necklace with a cross|jade pendant> from my <grandmother|mother|wedding> || my {1} || || What does X wear from their {2}?=1 || From whom or what is the {1} that X wears?=2
    keep/keeps <bees|six hens|an old pony|two goats> behind <the house|the barn> || {1} || x || What animals does X keep behind {2}?=1
    work/works night shifts <as a nurse|as a baker|at a hotel desk|as a guard> || the night shifts || x || As what or where does X work night shifts?=1
    play/plays <bass|keyboard|trumpet> in a <jazz trio|cover band|brass band> || the {2} || x || What instrument does X play in a band?=1 || In what kind of band does X play?=2
    admire/admires <my mother|my old coach|a young climate activist|my physics teacher> for <never giving up|staying kind|speaking out> || {1} || || Whom does X admire?=1 || For what does X admire {1}?=2
    do/does <crosswords|sudoku|jigsaw puzzles> <before bed|on the train|during lunch> || {1} || || When does X do {1}?=2 || What puzzles does X do?=1
    study/studies <marine biology|graphic design|social work|economics> <in the evenings|part-time|online> || my studies || x || What does X study?=1 || How or when does X study {1}?=2
    have/has <two|three|four> <kids|grandchildren|stepchildren>^( who love <dinosaurs|soccer|drawing|the sea>) || my {2} || || How many {2} does X have?=1 || What do X's {2} love?=3
"""
