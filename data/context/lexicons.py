"""Own word lists of the contextual framework: emotional words with intensity, and topics.

Written from general knowledge; read by ``data.context.wording``. Words are lower-case lemmas.
"""

from __future__ import annotations

#: Polarity and intensity -> lemmas. 1 colours a sentence, 2 charges it, 3 is meant to stir.
_EMOTION = """
1 good nice fine helpful useful safe fair strong successful happy popular improve benefit win enjoy gain
2 great excellent wonderful brilliant beautiful proud brave hero love amazing celebrate triumph inspire
3 fantastic incredible miracle miraculous magnificent perfect glorious unbelievable astonishing
-1 bad poor weak unfair wrong fail failure lose worry difficult doubt sad hurt harm trouble controversial
-2 terrible awful dangerous corrupt angry hate fear shameful disgraceful cruel brutal tragic liar greedy
-2 reckless stupid threat crisis scandal cheat fraud crooked ruin toxic radical fake poison suffer betray
-3 horrific horrible disgusting evil catastrophe catastrophic outrage outrageous monstrous slaughter massacre
-3 vile traitor treason hoax destroy devastating nightmare sinister idiot scum insane appalling shocking
"""
INTENSITY: dict[str, int] = {
    word: int(line.split()[0]) for line in _EMOTION.strip().splitlines() for word in line.split()[1:]
}
#: Words that raise the intensity of the emotional word after them by one.
BOOSTERS = frozenset(
    ("very", "extremely", "absolutely", "totally", "utterly", "completely", "so", "really", "deeply", "truly")
)

_TOPICS = """
health: vaccine vaccination virus disease patient doctor hospital drug medicine cancer covid covid-19
health: coronavirus
health: symptom infection pandemic epidemic treatment diabetes health mask immune clinical surgery dose flu
politics: president election vote voter senate senator congress parliament minister party democrat republican
politics: campaign governor policy ballot candidate legislation government mayor referendum coalition
economy: economy tax gdp inflation unemployment wage job budget debt deficit trade tariff price market stock
economy: bank revenue profit income export import cost spending recession company business
science: physics chemistry biology atom molecule cell gene dna species theory experiment telescope planet star
science: galaxy asteroid protein laboratory evolution quantum fossil particle scientist research
environment: climate carbon emission warming glacier temperature renewable solar wind pollution deforestation
environment: greenhouse methane drought flood hurricane wildfire sea-level arctic recycling biodiversity
crime and law: police court judge crime murder arrest prison law lawsuit trial guilty convict charge attorney
crime and law: sentence jury homicide shooting suspect theft illegal constitution amendment verdict
sport: team league season coach player goal match tournament championship cup olympic medal football
sport: basketball baseball cricket tennis boxer racing stadium score striker quarterback athlete wrestling
entertainment: film movie album song band singer actor actress director television series episode novel author
entertainment: book music award grammy oscar concert studio character show theatre soundtrack rapper
history and war: war battle army king queen empire emperor treaty dynasty invasion soldier navy troop
history and war: revolution military century medieval colony ancient siege regiment general rebellion conquest
technology: computer software internet app phone google apple facebook twitter microsoft robot algorithm data
technology: website smartphone console processor network encryption 5g satellite startup browser device
geography: city country river mountain island capital population state region border ocean lake province coast
geography: village district continent peninsula elevation area county
education: school student teacher university college education degree campus professor curriculum classroom
religion: church god bible islam muslim christian jewish hindu pope priest mosque temple religion buddhist
immigration: immigrant migrant refugee border asylum deportation visa immigration undocumented citizenship
"""


def _topics() -> dict[str, tuple[str, ...]]:
    table: dict[str, list[str]] = {}
    for line in _TOPICS.strip().splitlines():
        topic, _, words = line.partition(": ")
        for word in words.split():
            table.setdefault(word, []).append(topic)
    return {word: tuple(topics) for word, topics in table.items()}


#: Lemma -> topics that it points to.
TOPICS_OF: dict[str, tuple[str, ...]] = _topics()
#: Names of all topics, sorted.
TOPICS: tuple[str, ...] = tuple(sorted({topic for topics in TOPICS_OF.values() for topic in topics}))
