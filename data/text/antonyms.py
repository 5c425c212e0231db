"""Words that cannot both be true of one thing: antonyms, complements, and rivals of one set.

Used by ``data.text.word_conflicts`` on lemmas. Own list, from general knowledge. One line is ``words /
words``: every word on one side opposes every word on the other; a line with ``=`` is a set whose members
exclude each other.
"""

from __future__ import annotations

from functools import lru_cache

_PAIRS = """
increase rise grow climb soar / decrease fall decline drop shrink reduce lower diminish plummet plunge
expand surge raise gain higher / decrease fall decline drop shrink reduce lower diminish plummet plunge
enhance improve strengthen boost / worsen weaken impair deteriorate
promote activate stimulate / inhibit suppress block prevent repress downregulate hinder
induce enable upregulate / inhibit suppress block prevent repress downregulate hinder
accelerate hasten / delay slow postpone; activation / inhibition inactivation suppression
upregulation / downregulation; overexpression / knockdown deletion; agonist / antagonist
positive / negative; high / low; higher / lower; large big huge great vast / small little tiny
larger bigger greater / smaller; largest biggest / smallest; long / short; longer / shorter
longest / shortest; tall / short; old / young new; older elder / younger; oldest / youngest newest
early / late; earlier / later; fast quick rapid / slow; strong / weak; stronger / weaker; heavy / light
hard / soft easy; difficult / easy; easier / harder; hot warm / cold cool; hotter warmer / colder cooler
dry / wet; rich wealthy / poor; good / bad; better / worse; best / worst; safe / dangerous unsafe hazardous
healthy / sick ill unhealthy; true / false; right correct accurate / wrong incorrect inaccurate
alive living live / dead deceased; live survive / die perish; birth / death; born / die; win / lose
winner victor / loser; victory / defeat loss; succeed / fail; success / failure; successful / unsuccessful
profit / loss; profitable / unprofitable; pass / fail; accept approve / reject refuse decline
approval / rejection; agree / disagree; allow permit / forbid ban prohibit disallow
legal lawful / illegal unlawful; legalize / outlaw ban; guilty / innocent; convict / acquit
arrest / release; start begin open launch commence / end finish stop close cease conclude; first / last
opening / closing; found establish create / abolish dissolve disband; build construct / demolish destroy
create / destroy; buy purchase acquire / sell; buyer / seller; borrow / lend; give / take receive
send / receive; import / export; arrive / depart leave; enter join / leave exit quit; come / go; push / pull
attack / defend; love like / hate dislike; friend ally / enemy foe; friendly / hostile; peace / war
support back endorse favor favour / oppose criticize criticise condemn; supporter / opponent
praise / criticize criticise; protect / harm endanger; help / hinder harm; cause / prevent; cure / cause
confirm / deny refute; prove / disprove refute; admit / deny; include / exclude; add / remove subtract
attach / detach; connect / disconnect separate; unite merge / divide split separate; marry / divorce
married / unmarried single divorced; appear / disappear vanish; visible / invisible
show reveal / hide conceal; public / private; domestic / foreign international
national / international local; indoor / outdoor; internal / external; inner / outer; inside / outside
interior / exterior; upper / lower; top / bottom; up / down; upstream / downstream; above / below
front / back rear; left / right; north northern / south southern; east eastern / west western
northeast northeastern / southwest southwestern; northwest northwestern / southeast southeastern
northward / southward; eastern / western; male / female; man / woman; boy / girl; father / mother
son / daughter; brother / sister; husband / wife; uncle / aunt; king / queen; prince / princess
actor / actress; maternal / paternal; parent / child; employer / employee; teacher / student
doctor / patient; predator / prey; hero / villain; protagonist / antagonist; fiction fictional / nonfiction
comedy / tragedy; amateur / professional; military / civilian; urban / rural; coastal / inland
ancient / modern; traditional / modern; temporary / permanent; natural / artificial synthetic
real / fake imaginary fictional; fresh / stale; full / empty; wide broad / narrow; wider / narrower
thick / thin; deep / shallow; bright light / dark; rough / smooth; sharp / blunt; loud noisy / quiet silent
clean / dirty polluted; simple / complex complicated; common frequent / rare uncommon infrequent
popular / unpopular; famous / unknown obscure; known / unknown; usual / unusual; normal / abnormal
regular / irregular; active / inactive dormant; acute / chronic; benign / malignant
symptomatic / asymptomatic; infected / uninfected; resistant / sensitive susceptible
resistance / sensitivity susceptibility; sufficient / insufficient; presence / absence; present / absent
possible / impossible; likely / unlikely; able / unable; capable / incapable; available / unavailable
certain / uncertain; stable / unstable; effective / ineffective; efficient / inefficient
dependent / independent; related / unrelated; associated / unrelated; equal / unequal
same identical / different distinct; similar / different dissimilar; fair / unfair; direct / indirect
major / minor; majority / minority; maximum / minimum; more / less fewer; most / least fewest
always / never; everything / nothing; everyone everybody / nobody; all / none; many / few
often frequently / rarely seldom; before / after; prior / subsequent; previous / next following
predecessor / successor; past / future; ancestor / descendant; begin / end; dawn / dusk; day / night
morning / evening; summer / winter; spring / autumn; sunrise / sunset; land / sea; sea / inland
vertical / horizontal; parallel / perpendicular; acid acidic / alkaline basic; solid / liquid gas
liquid / gas; anode / cathode; conductor / insulator; absorb / emit reflect release; expand / contract
contraction / expansion; inflate / deflate; freeze / melt thaw boil; inhale / exhale; wake / sleep
awake / asleep; laugh / cry; remember / forget; learn / forget; teach / learn; ask / answer
question / answer; speak / listen; lend / borrow; float / sink; lift / lower drop; advance / retreat
victory / surrender; conquer / surrender; invade / withdraw; occupy / liberate
imprison / free liberate release; promote / demote; promotion / demotion relegation; promoted / relegated
promote / relegate; hire employ / fire dismiss; appoint / dismiss; elect / oust; resign / remain
retire / continue; renew / cancel; renewed / canceled cancelled; cancel / continue; positive / critical
favorable favourable / unfavorable unfavourable; acclaim / pan; acclaimed / panned; optimistic / pessimistic
liberal / conservative; democrat democratic / republican; left-wing / right-wing; progressive / conservative
capitalist / communist socialist; religious / secular; atheist / believer
christian / muslim jewish hindu buddhist; protestant / catholic; monarchy / republic
democracy / dictatorship; federal / local; employed / unemployed; employment / unemployment
literate / illiterate; vegetarian / carnivore; herbivore herbivorous / carnivore carnivorous
domesticated / wild; edible / poisonous toxic; toxic / nontoxic harmless; harmful / harmless beneficial
benefit / harm; beneficial / harmful detrimental; advantage / disadvantage; beneficial / adverse
cheap / expensive; cheaper / costlier; credit / debit; debt / asset; deficit / surplus; income / expense
supply / demand; inflation / deflation; growth / decline; rise / fall; boom / recession; upgrade / downgrade
upload / download; encrypt / decrypt; input / output; online / offline; wireless / wired
digital / analog analogue; manual / automatic; automated / manual; plural / singular; prefix / suffix
vowel / consonant; odd / even; prime / composite; finite / infinite; rational / irrational; convex / concave
clockwise / counterclockwise anticlockwise; innocent / culprit; victim / perpetrator; host / guest
offense offensive / defense defensive defence; home / away; debut / finale; prequel / sequel; lead / trail
underdog / favorite favourite; solo / group; single / double multiple; singular / multiple; alone / together
mandatory compulsory / optional voluntary; voluntary / involuntary forced
deliberate intentional / accidental unintentional; accident / murder suicide; natural / murder suicide
murder / suicide; homicide / suicide; sober / drunk; awake / unconscious; conscious / unconscious
calm / violent; peaceful / violent; polite / rude; honest / dishonest; loyal / disloyal; brave / cowardly
kind / cruel; happy / sad unhappy; proud / ashamed; beautiful / ugly; hero / coward; guest / host
lose / gain; lost / won; low-level / high-level; wild-type / mutant; vaccinated / unvaccinated
treated / untreated; diagnosed / undiagnosed; published / unpublished; released / unreleased
finished / unfinished; complete / incomplete
"""

_RIVALS = """
north = south = east = west
red = blue = green = yellow = black = white = orange = purple
spring = summer = autumn = winter
monday = tuesday = wednesday = thursday = friday = saturday = sunday
gold = silver = bronze
football = basketball = baseball = hockey = cricket = tennis = rugby = golf
goalkeeper = striker = midfielder = defender
quarterback = linebacker = receiver = cornerback
pitcher = catcher = shortstop = outfielder
singer = painter = physicist = chemist = novelist = politician = architect
guitarist = drummer = bassist = pianist = violinist
christianity = islam = judaism = hinduism = buddhism
catholic = protestant = orthodox
mammal = reptile = bird = fish = insect = amphibian
planet = star = moon = asteroid
river = mountain = desert
american = british = canadian = french = german = italian = spanish = russian = chinese = japanese = indian
swedish = norwegian = danish = finnish = dutch = polish = turkish = greek = korean = mexican = brazilian
film = song = novel
drama = comedy = documentary
uncle = father = brother = grandfather = son = nephew
aunt = mother = sister = grandmother = daughter = niece
"""


@lru_cache(maxsize=1)
def opposites() -> dict[str, frozenset[str]]:
    """Return, by lemma, the lemmas that exclude it."""
    table: dict[str, set[str]] = {}
    for line in _PAIRS.replace("\n", ";").strip(";").split(";"):
        left, right = (side.split() for side in line.split("/"))
        for one in left:
            table.setdefault(one, set()).update(right)
        for one in right:
            table.setdefault(one, set()).update(left)
    for line in _RIVALS.strip().splitlines():
        members = {member.strip() for member in line.split("=")}
        for member in members:
            table.setdefault(member, set()).update(members - {member})
    return {lemma: frozenset(others - {lemma}) for lemma, others in table.items()}
