"""What doings and standing facts there are in validation; the form of a frame is told in `doings`."""

# ruff: noqa: E501 - a frame is one line.
from __future__ import annotations

PAST = """
    brought/bring my twins to <the circus|a dinosaur park|the fire station|a petting zoo> || the outing with my twins || wf || What place did X bring the twins to?=1
    sketched/sketch <an old windmill|a market square|my sleeping baby|a row of boats>(^ with <ink|colored pencils>) || my sketch || p#sketched
    devoured/devour the novel <"Harvest of Stones"|"The Lantern Keeper"|"Far from Tallow Hill"> || {1} || #novels
    reread/reread <"The Orange Kite"|"Maps for the Lost"|"Underneath the Ice"> || {1} || #novels
    saw/see the movie <"Crimson Tide Inn"|"Two Tickets"|"The Fog Collector"> || {1} || wf#movies
    streamed/stream the series <"Station Nine"|"Kitchen Wars"|"Cold Ferry"> || {1} || w#movies
    prepared/prepare <a beef stew|spinach dumplings|pumpkin soup|fish tacos> for <my in-laws|the potluck|a sick friend> || the {1} || f || What did X prepare for {2}?=1 || For whom or what did X prepare {1}?=2
    fried/fry <apple fritters|spring rolls|pancakes> || the {1} || w || What did X fry?=1
    grew/grow <giant pumpkins|basil|chili peppers|roses> on <the balcony|a windowsill|the roof> || my {1} || || What plants did X grow?=1 || Where did X grow {1}?=2
    climbed/climb <a glacier|a sea cliff|the highest hill around>^( and met <a marmot|an ibex|a lost dog>) || the climb || wf || What did X climb?=1 || What animal did X meet on the climb?=2
    paddled/paddle through <a mangrove|a marsh|a row of caves> || the paddling || wf || What did X paddle through?=1
    snorkeled/snorkel^ and saw <a stingray|parrotfish|an octopus> || the snorkeling || wp || What did X see while snorkeling?=1
    cycled/cycle 90 kilometers for <a children's hospital|flood victims|a hospice> || the charity ride || wf || For what cause did X cycle?=1
    enrolled/enroll in <a pilates class|a self-defense course|ballroom lessons>^ because <I sit all day|I felt unsafe at night|my wedding is near> || {1} || || In what did X enroll?=1 || Why did X enroll in {1}?=2
    beat/beat my personal record in <the 10K|weightlifting|the high jump> || my record || p || In what did X beat the personal record?=1
    received/receive <a teaching award|an employee prize|a medal for bravery>^( for <twenty years of service|saving a child|a new project>) || {1} || || What honor did X receive?=1 || For what did X receive {1}?=2
    sang/sing <an aria|a rock ballad|a gospel hymn> at <my cousin's wedding|a benefit evening|the harvest feast> || my singing || || Which piece did X sing at {2}?=1 || At what event did X sing {1}?=2
    composed/compose a tune for <my goddaughter|a short film|the village band> || my tune || || For whom or what did X compose a tune?=1
    heard/hear <the Amber Owls|Tobias Grey|the Night Tram> live || the gig || wpf || Whom did X hear live?=1
    toured/tour <a salt mine|a chocolate factory|an old prison|a shipyard> || the tour || wf || What did X tour?=1
    carved/carve <a wooden spoon|a chess set|a walking stick> for <my stepfather|my landlord> || {1} || f || What did X carve?=1 || For whom did X carve {1}?=2
    sewed/sew <curtains|a carnival costume|a quilted bag> || the {1} || f || What did X sew?=1
    helped/help out at <a homeless kitchen|a flood relief camp|a bird sanctuary> || helping out || wf || Where did X help out?=1
    collected/collect <600|850|1400> euros for <a new ambulance|earthquake victims|the school trip> || the collection || || How much did X collect for {2}?=1 || For what did X collect {1} euros?=2
    demonstrated/demonstrate <against rent increases|for bike lanes|for refugee rights> || the demonstration || wp || For or against what did X demonstrate?=1
    wrote/write to the mayor about <noise at night|the broken street lamps|a safer crossing> || my letter to the mayor || f || What did X write to the mayor about?=1
    observed/observe <Yom Kippur|Lent|Ramadan> for the first time || {1} || || What did X observe for the first time?=1
    told/tell my <grandparents|team|roommates> that I am <pansexual|nonbinary|a trans man> || telling my {1} || || Who did X tell about their identity?=1
    buried/bury my <great-uncle|old neighbor|mentor>^ after <a long illness|a sudden heart attack> || the funeral || s || After what did X bury their {1}?=2
    separated/separate from my <spouse|fiance>^ because <we wanted different things|the trust was gone> || the separation || s || Why did X separate from their {1}?=2
    proposed/propose to my <fiance|sweetheart> <on a sailboat|at a train station|during a picnic> || the proposal || || Where or when did X propose?=2
    welcomed/welcome <a foster child|an exchange student|a newborn grandson> into the family || {1} || || Who did X welcome into the family?=1
    showed/show my <grandson|goddaughter> how to <skip stones|whistle|fold paper planes> || that afternoon || w || What did X show their {1}?=2
    fractured/fracture my <collarbone|heel|little finger>^ while <skiing|trimming a tree> || my {1} || s || What did X fracture?=1 || What was X doing when they fractured their {1}?=2
    caught/catch <pneumonia|the flu|a nasty virus>^( and stayed in bed for <nine days|two weeks>) || being ill || s || What illness did X catch?=1 || How long was X in bed with {1}?=2
    gave/give up <late-night snacks|energy drinks|gambling>^( with the help of <a coach|my faith|a diary>) || giving up {1} || || What did X give up?=1 || What helped X to give up {1}?=2
    got/get laid off^ because <the factory moved|sales went down> || being laid off || s || Why did X get laid off?=1
    presented/present my work on <river pollution|sleep|medieval songs> at <a congress|the university> || my presentation || f || What work did X present at {2}?=1 || Where did X present the work on {1}?=2
    cleared/clear my debt of <3000|4500|7000> euros || being free of debt || || How big was the debt that X cleared?=1
    tiled/tile <the bathroom|the kitchen wall|the terrace> in <white|terracotta|sea green> || the tiles || wf || What did X tile?=1 || In what color did X tile {1}?=2
    lost/lose <the greenhouse|a chimney|two apple trees> to <a hurricane|heavy snow|a landslide> || the loss of {1} || s || What did X lose to {2}?=1 || To what did X lose {1}?=2
    programmed/program <a chatbot|a little game|a budget tool> for <my nephew|the sports club> || {1} || f || What did X program?=1 || For whom did X program {1}?=2
    crashed/crash my <scooter|van|bicycle>^ into <a lamp post|a fence> || the crash || s || What did X crash into with the {1}?=2
"""
STANDING = """
    adore/adores <mushroom hunting|ironing to music|ice swimming> because <it makes me feel free|nobody disturbs me> || {1} || || What does X adore?=1 || Why does X adore {1}?=2
    aim/aims to be <a judge|a midwife|a firefighter|a translator> || that goal || x || What profession does X aim for?=1
    belong/belongs to <a drum circle|a knitting club|a rescue squad>^ that gathers <on Mondays|once a month> || {1} || x || What does X belong to?=1 || When does {1} of X gather?=2
    have/has been <divorced|self-employed|a vegetarian|a widow> for <two|six|thirteen> years || those years || || For how many years has X been {1}?=2
    have/has played <the oboe|handball|the harmonica> since <third grade|the army|childhood> || {1} || || What has X played since {2}?=1 || Since when has X played {1}?=2
    gather/gathers <old coins|minerals|comic books|teapots> || my collection || x || What does X gather as a hobby?=1
    recover/recovers from stress by <painting|weeding|singing in the car> || {1} || || How does X recover from stress?=1
    tutor/tutors <teenagers in math|newcomers in grammar> <on Thursdays|after work> || the tutoring || x || Whom does X tutor and in what?=1 || When does X tutor {1}?=2
    spent/spent childhood <in an orphanage|on a houseboat|above a bakery> || my childhood || || Where did X spend childhood?=1
    dread/dreads <dentists|thunder|elevators> since <a bad fall|school days> || {1} || || What does X dread?=1 || Since when does X dread {1}?=2
    put/puts money aside for <a motorbike|a trip around the world|solar panels> || my piggy bank || x || For what does X put money aside?=1
    fast/fasts <every full moon|every month> for <my health|spiritual reasons> || the fasting || x || How often does X fast?=1 || Why does X fast?=2
"""
