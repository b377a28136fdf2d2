"""What the worlds of each split are made of: no proper name of one split occurs in another."""

from __future__ import annotations

from enum import StrEnum

from training.simulator import frames_exam, frames_train, frames_validation


class Split(StrEnum):
    """What conversations are for; each has its own names and its own wording."""

    TRAIN = "train"
    VALIDATION = "validation"
    EXAM = "exam"


PROPER = ("speaker", "person", "sister", "brother", "pet_name", "city", "employer", "car")
"""The pools that hold proper names."""

_TRAIN = {
    "speaker": "Alice Bob Carla Daniel Emma Frank Greta Henry Ivy Jonah Karen Leon Mona Nathan Olga Paul Rita Simon "
    "Tina Victor Wendy Yusuf Zoe Aaron Bella Caleb Diana Ethan Fiona George",
    "person": "Mia Lucas Hanna Peter Clara Oscar Nina Felix Laura Martin Julia Adam Sara Tom Eva Max Lena David Anna "
    "Ben Marie Jack Sophie Leo Kate Sam Ruth Noah Lily Hugo",
    "sister": "Abigail Paula Tessa Heidi Vera Sonja Miriam Lotte",
    "brother": "Edgar Gerald Philip Rolf Conrad Stefan Walter Ralph",
    "pet_name": "Buddy Scout Luna Milo Daisy Rocky Coco Cookie Charlie Molly Oreo Ruby Toby Nala Simba Willow Jasper "
    "Gizmo Pixie Rusty Bandit Maple Ziggy Mocha Biscuit",
    "city": "Berlin|Paris|Oslo|Lisbon|Vienna|Madrid|Dublin|Prague|Boston|Toronto|Seattle|Denver|Rome|Athens|Hamburg|"
    "Krakow|Bergen|Porto|Chicago|Austin|Munich|Milan|Geneva|Warsaw|Valencia|Bristol",
    "employer": "Globex|Initech|Harbor Bakery|Northwind|Acme Tools|Silver Pine Clinic|Bluebird Books|Contoso|"
    "Maple Bank|Redwood School|Sunrise Hotel|Orbit Labs|Kestrel Airlines|Greenfield Farm|Lakeside Hospital",
    "car": "Volvo|Toyota|Honda|Fiat|Renault|Skoda|Ford|Mazda|Nissan",
    "drink": "black coffee|green tea|apple juice|hot chocolate|ginger ale|oat milk|mint tea|lemonade|espresso",
    "thing": "red canoe|electric guitar|film camera|leather armchair|camping tent|racing bike|telescope|sewing machine|"
    "record player|coffee grinder|winter coat|kayak",
    "skill": "Spanish|Finnish|pottery|cello|Italian|chess|knitting|piano|Portuguese|carpentry|judo",
    "occasion": "a jazz festival|a pottery fair|a chess tournament|a book reading|a wine tasting|a half marathon|"
    "a food market|a comedy show|a poetry slam|a photo exhibition|a flower show|a cooking course",
    "deed": "sprained an ankle|won a chess tournament|finished painting the kitchen|lost a wallet|"
    "planted an apple tree|ran a half marathon|baked a wedding cake|repaired the roof|passed the driving test|"
    "broke a tooth|gave a speech|built a bookshelf|found an old letter|sold a painting",
    "pain": "knee|back|left shoulder|neck|right wrist",
    "diet": "meat|sugar|dairy|gluten|peanuts|seafood",
    "idea": "buying a boat|opening a cafe|going back to school|writing a novel|learning to fly|getting a tattoo|"
    "running for mayor|building a cabin",
}
_VALIDATION = {
    "speaker": "Agnes Bruno Celia Dexter Elise Floyd Gemma Harvey Ingrid Joel Kira Lloyd",
    "person": "Astrid Boris Chloe Dennis Edith Fabio Gwen Hector Isabel Jerome Klara Ludwig Magda Norman",
    "sister": "Beatrix Ottilie Ramona Sigrid",
    "brother": "Alwin Cedric Lennart Roland",
    "pet_name": "Pepper Waffles Shadow Ginger Bruce Clover Dobby Fudge Hazel Indy Juno",
    "city": "Utrecht|Leeds|Tampere|Graz|Lyon|Dallas|Ottawa|Bilbao|Turin|Aarhus|Bologna|Gdansk",
    "employer": "Umbrella Press|Stark Motors|Copper Kettle|Fabrikam|Old Mill Museum|Polar Shipping|Hillside Dental|"
    "Violet Florists",
    "car": "Peugeot|Hyundai|Subaru|Seat|Citroen",
    "drink": "iced tea|orange juice|chai latte|tomato juice|sparkling water",
    "thing": "wooden sledge|banjo|drone|oak table|folding bike|microscope|food dehydrator|rain jacket",
    "skill": "Greek|Danish|weaving|flute|fencing|calligraphy",
    "occasion": "a blues night|a quilt show|a street parade|a bike race|a cheese fair|a science slam|a film premiere",
    "deed": "cut a finger|won a quiz|finished the fence|missed a flight|caught a huge trout|repaired the boiler|"
    "met a famous actor|tore a curtain",
    "pain": "elbow|hip|left ankle",
    "diet": "eggs|pork|mushrooms|soy",
    "idea": "adopting a child|renting a studio|starting a podcast|moving abroad",
}
_EXAM = {
    "speaker": "Tamika Ruben Solveig Dmitri Priya Callum Yolanda Mateo Freya Kwame Delphine Otto",
    "person": "Ximena Thaddeus Rowena Pascal Odette Niamh Quentin Leocadia Ignatius Saoirse Zelda Wanda Ulrich",
    "sister": "Philippa Guadalupe Ottoline Hyacinth",
    "brother": "Cornelius Evander Zacharias Lorcan",
    "pet_name": "Quasar Pickles Nimbus Tofu Marzipan Falafel Bowie Dumpling Sprocket Waldo Zorro",
    "city": "Reykjavik|Ljubljana|Adelaide|Montreal|Kyoto|Cusco|Tbilisi|Nairobi|Galway|Salzburg|Trondheim|Zagreb",
    "employer": "Meridian Optics|Tanglewood Nursery|Pequod Fisheries|Vandelay Imports|Zephyr Cycles|Hooli Robotics|"
    "Granite Theatre|Larkspur Legal",
    "car": "Tesla|Lancia|Jaguar|Kia|Dacia",
    "drink": "rooibos|root beer|cold brew|elderflower cordial|carrot juice",
    "thing": "vintage typewriter|accordion|hammock|grandfather clock|unicycle|aquarium|waffle iron|velvet sofa",
    "skill": "Korean|Welsh|glassblowing|harp|archery|beekeeping",
    "occasion": "an opera gala|a kite festival|a robotics contest|a lantern walk|a pumpkin weighing|a sailing regatta",
    "deed": "dislocated a thumb|won a baking contest|rescued a hedgehog|crashed a drone|buried a time capsule|"
    "climbed a glacier|forgot an anniversary|donated blood",
    "pain": "jaw|tailbone|right heel",
    "diet": "shellfish|tomatoes|caffeine|garlic",
    "idea": "restoring a lighthouse|joining a circus|brewing cider|becoming a pilot",
}


def _listed(pools: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(text.split("|" if "|" in text else None)) for name, text in pools.items()}


POOLS = {
    Split.TRAIN: _listed(_TRAIN),
    Split.VALIDATION: _listed(_VALIDATION),
    Split.EXAM: _listed(_EXAM),
}
PETS = ("dog", "cat", "rabbit", "parrot", "hamster", "tortoise")
KIN = ("sister", "brother")
"""Each is also the pool of its names."""

_WRITTEN = {Split.TRAIN: frames_train, Split.VALIDATION: frames_validation, Split.EXAM: frames_exam}
FRAMES = {
    split: tuple(
        f"{kind}:{line.strip()}"
        for kind, text in (("past", written.PAST), ("standing", written.STANDING))
        for line in text.strip().splitlines()
    )
    for split, written in _WRITTEN.items()
}
"""What may be done and what may stand, as `doings` reads it."""
