"""What doings and standing facts there are in the exam; the form of a frame is told in `doings`."""

# ruff: noqa: E501 - a frame is one line.
from __future__ import annotations

PAST = """
    accompanied/accompany my triplets to <a magic show|the butterfly house|a trampoline hall> || that outing || wf || To what did X accompany the triplets?=1
    created/create <a mosaic of shells|a clay fox|a mural of whales|a paper dragon>(^ out of <boredom|love for the sea>) || my creation || p#artworks
    exhibited/exhibit <a bronze heron|six etchings|a neon collage> at <a cafe|the town gallery> || my exhibition || || What did X exhibit at {2}?=1 || Where did X exhibit {1}?=2
    borrowed/borrow the biography <"A Life in Tin"|"The Unseen Pianist"|"Mother of Dams"> || {1} || #titles
    got/get through the thriller <"Nine Empty Chairs"|"Dead Reckoning Lane"|"The Last Locksmith"> || {1} || #titles
    attended/attend the premiere of <"Velvet Dawn"|"Sparrows of Brass"|"Goodbye, Icarus"> || the premiere || wpf || Which premiere did X attend?=1
    grilled/grill <trout|halloumi skewers|corn cobs> for <the choir|thirty neighbors> || the barbecue || f || What did X grill for {2}?=1 || For whom did X grill {1}?=2
    brewed/brew <ginger beer|rhubarb syrup|elderflower wine> || my {1} || w || What did X brew?=1
    pickled/pickle <radishes|lemons|cabbage> || my {1} || || What did X pickle?=1
    transplanted/transplant <a fig tree|peonies|a grapevine> to <the courtyard|the allotment> || the {1} || || What did X transplant?=1 || Where to did X transplant {1}?=2
    trekked/trek across <a lava field|a salt desert|the moor>^( and came upon <wild ponies|a ruined abbey>) || the trek || wf || Across what did X trek?=1 || What did X come upon on the trek?=2
    sailed/sail around <an island|a cape|three lighthouses> || the sailing trip || wf || Around what did X sail?=1
    photographed/photograph <a lynx|puffins|a thunderstorm|an eclipse> || my photo || wp || What did X photograph?=1
    swam/swim twelve laps in aid of <orphans|a dialysis ward|stranded seals> || the charity swim || f || In aid of what did X swim?=1
    took/take up <fencing for beginners|curling|trapeze>^ because <my therapist suggested it|I lost a bet|I missed competing> || {1} || || What sport did X take up?=1 || Why did X take up {1}?=2
    captained/captain <a water polo squad|a chess league side> to <the semifinal|victory> || my time as captain || || What did X captain?=1 || How far did X captain {1}?=2
    earned/earn <a black belt|a lifeguard badge|a culinary star> || {1} || || What did X earn?=1
    debuted/debut as <Hamlet|a stand-up comedian|a DJ> at <a basement theater|the summer fete> || my debut || || As what did X debut?=1 || Where did X debut as {1}?=2
    recorded/record an album about <exile|winter light|my twin> || my album || || What is X's album about?=1
    applauded/applaud <the Tin Magpies|Odessa Rune|Quartet Solano> at a festival || that show || wpf || Whom did X applaud at a festival?=1
    wandered/wander through <a botanical garden|a wax museum|the catacombs> || the stroll || wf || Through what did X wander?=1
    forged/forge <a kitchen knife|an iron gate|a horseshoe> for <my godson|a blind neighbor> || {1} || || What did X forge?=1 || For whom did X forge {1}?=2
    served/serve meals at <a night shelter|a veterans' home|a refugee ship> || serving meals || wf || Where did X serve meals?=1
    auctioned/auction off <a signed guitar|an heirloom clock> in favor of <a burn clinic|wolf protection> || the auction || || What did X auction off?=1 || In favor of what did X auction off {1}?=2
    protested/protest <against a coal mine|for a minimum wage|against book bans> || the protest || wp || For or against what did X protest?=1
    ran/run for <the parish council|the tenants' board|the school committee>^( and got <212|340|95> votes) || my candidacy || || For what office did X run?=1 || How many votes did X get?=2
    converted/convert to <Islam|Judaism|Catholicism>^ after <years of doubt|meeting my fiancee> || my conversion || || To what did X convert?=1 || After what did X convert to {1}?=2
    changed/change my legal name^ <at the registry office|with a lawyer> || my new name || || Where or with whom did X change the legal name?=1
    mourned/mourn my <stepmother|chess partner|foster father> by <lighting a lantern|planting a rose|visiting the grave> || the mourning || s || How did X mourn their {1}?=2
    eloped/elope with my <fiancee|soulmate>^ to <a castle|a desert chapel> || our elopement || || Where to did X elope?=2
    filed/file for divorce^ after <nine years of marriage|an affair> || the divorce || s || After what did X file for divorce?=1
    delivered/deliver the <toast|opening words|blessing> at <my mentor's wedding|a jubilee> || the {1} || || Where did X deliver the {1}?=2
    reunited/reunite with <my wartime friend|a half-brother|my nanny> after <three decades|a bitter quarrel> || our reunion || || With whom did X reunite?=1 || After what did X reunite with {1}?=2
    introduced/introduce my <granddaughter|stepson> to <astronomy|rugby|fly fishing> || introducing my {1} || w || What did X introduce their {1} to?=2
    dislocated/dislocate my <kneecap|ring finger>^ while <bouldering|unloading a piano> || my {1} || s || What was X doing when they dislocated their {1}?=2 || What did X dislocate?=1
    underwent/undergo <chemotherapy|a heart bypass|dialysis> || the {1} || s || What medical treatment did X undergo?=1
    resigned/resign from my post as <treasurer|sous chef|editor>^ over <a scandal|unpaid hours> || my resignation || s || As what did X work until they resigned?=1 || Over what did X resign?=2
    defended/defend my thesis on <coral reefs|tax havens|Norse runes> || my thesis || f || On what was X's thesis?=1
    inherited/inherit <a vineyard|a coin cabinet|9000 francs> from <a distant uncle|my landlady> || {1} || || What did X inherit?=1 || From whom did X inherit {1}?=2
    insulated/insulate <the loft|the cellar|the garage walls> with <cork|hemp|wool> || the insulation || wf || What did X insulate?=1 || With what did X insulate {1}?=2
    evacuated/evacuate the house^ because of <a wildfire|a burst dam|a gas leak> || the evacuation || s || Because of what did X evacuate the house?=1
    soldered/solder <a synthesizer|a radio|a robot arm> || {1} || w || What did X solder?=1
    skidded/skid off the road^ near <a quarry|the tunnel> || skidding || s || Near what did X skid off the road?=1
"""
STANDING = """
    cherish/cherishes <foggy mornings|handwritten letters|Sunday roasts> because <they slow me down|they bring back childhood> || {1} || || What does X cherish?=1 || Why does X cherish {1}?=2
    dream/dreams of becoming <an astronomer|a surgeon|a beekeeper|a diplomat> || that ambition || x || What does X dream of becoming?=1
    sit/sits on the board of <a cancer ward|a theater guild|a wolf sanctuary>^ which convenes <quarterly|on Fridays> || the board || x || On what board does X sit?=1 || How often or when does the board of X convene?=2
    have/has been <a freelancer|teetotal|a scout leader> for <ten|sixteen|twenty-two> years || that long time || || How many years has X been {1}?=2
    have/has practiced <aikido|the harp|beatboxing> ever since <middle school|a trip abroad> || {1} || || What has X practiced ever since {2}?=1 || Ever since when has X practiced {1}?=2
    hoard/hoards <typewriters|theater tickets|snow globes> || my hoard || x || What does X hoard?=1
    unwind/unwinds by <polishing silver|juggling|walking barefoot> || {1} || || How does X unwind?=1
    mentor/mentors <young coders|former inmates|single mothers> <at dawn|every fortnight> || the mentoring || x || Whom does X mentor?=1 || When or how often does X mentor {1}?=2
    was/was raised by <two grandmothers|nuns|circus performers> || my upbringing || || By whom was X raised?=1
    panic/panics at the sight of <needles|clowns|wasps> || {1} || || At the sight of what does X panic?=1
    campaign/campaigns for <quieter nights|tram lines|prison reform> || my campaign || x || For what does X campaign?=1
    sleep/sleeps in <a bunk bed|a tiny attic|a converted bus> because <rent is high|I love the view> || my sleeping place || x || In what does X sleep?=1 || Why does X sleep in {1}?=2
"""
