"""Rule-based English lemmas: plural, -s, -ed, -ing, and the irregular words.

Called by the analyser for every token. The lemma of a word never depends on its neighbours, so forms of one
word meet ("increased", "increasing", "increases" -> "increase") even where a parser would tell noun from
verb. Source: the word lists and suffix rules are our own, from general knowledge of English spelling.
"""

from __future__ import annotations

from functools import lru_cache

from data.text.words import listed

_IRREGULAR_VERBS = """
be am is are was were been being 'm 're | have has had having 've | do does did done doing
go goes went gone going | say said | make made making | get got gotten | take took taken taking
come came coming | see saw seen | know knew known | give gave given giving | find found | think thought
tell told | become became becoming | show shown | leave left leaving | feel felt | bring brought
begin began begun beginning | keep kept | hold held | write wrote written writing | stand stood | hear heard
mean meant | meet met | run ran running | pay paid | sit sat sitting | speak spoke spoken | lead led
grow grew grown | lose lost losing | fall fell fallen | send sent | build built | understand understood
draw drew drawn | break broke broken | spend spent | rise rose risen rising | drive drove driven driving
buy bought | wear wore worn | choose chose chosen choosing | seek sought | throw threw thrown | catch caught
deal dealt | win won winning | forget forgot forgotten | sell sold | fight fought | teach taught
eat ate eaten | sing sang sung | strike struck striking | hang hung | shake shook shaken shaking
ride rode ridden riding | feed fed | shoot shot | drink drank drunk | hit hitting
arise arose arisen arising | fly flew flown flies | steal stole stolen | lie lay lain lying lies
die died dying dies | tie tied tying ties | sleep slept | swim swam swum | bear bore borne | bend bent
bind bound | bite bit bitten biting | blow blew blown | breed bred | burn burnt | dig dug | dream dreamt
flee fled fleeing | forbid forbade forbidden | freeze froze frozen freezing | hide hid hidden hiding
learn learnt | lend lent | light lit | overcome overcame overcoming | prove proven proving | ring rang rung
sink sank sunk | slide slid sliding | spin spun spinning | spread | spring sprang sprung | stick stuck
sweep swept | swear swore sworn | tear tore torn | wake woke woken waking | weep wept | wind wound
withdraw withdrew withdrawn | undergo underwent undergone undergoes
undertake undertook undertaken undertaking | foresee foresaw foreseen | mistake mistook mistaken
outgrow outgrew | overtake overtook overtaken | shrink shrank shrunk | split splitting | cut cutting
put putting | set setting | let letting | shut shutting | quit quitting | bet betting | cost costing
beat beaten | read reading | shed shedding | use used using uses | free freed freeing
agree agreed agreeing
"""

_IRREGULAR_NOUNS = """
man men | woman women | child children | person people persons | foot feet | tooth teeth | goose geese
mouse mice | life lives | wife wives | knife knives | leaf leaves | half halves | wolf wolves
thief thieves | shelf shelves | crisis crises | analysis analyses | basis bases | thesis theses
hypothesis hypotheses | diagnosis diagnoses | phenomenon phenomena | criterion criteria | bacterium bacteria
medium media | datum data | index indices | matrix matrices | virus viruses | bus buses | gas gases
lens lenses | hero heroes | potato potatoes | tomato tomatoes | veto vetoes | echo echoes | nucleus nuclei
stimulus stimuli | fungus fungi | series | species | means | news | politics | physics | mathematics
economics | economy economies | movie movies | cookie cookies | zombie zombies | calorie calories
prairie prairies | rookie rookies | policeman policemen | businessman businessmen | axis axes | toe toes
census censuses | campus campuses | bonus bonuses | status statuses | ox oxen | shoe shoes | axe | echo
"""

_UNCHANGED = frozenset(
    listed(
        """
    during morning evening nothing something anything everything ceiling sibling king ring sing thing string
    spring wing bring sting swing cling beijing sterling viking need seed speed feed bleed breed indeed
    hundred sacred red bed this his its us plus thus yes bus gas always perhaps across less unless besides
    sometimes towards afterwards whereas as ours yours theirs hers james paris texas kansas arkansas
    illinois athens brussels naples wales mars venus jesus thomas charles lens atlas christmas athletics
    olympics ethics statistics headquarters overseas united diabetes rabies measles aids sars mers herpes
    tuesday wednesday thursday friday saturday sunday monday wedding pudding pied embed biped naked wicked
    kindred rugged shred exceed proceed succeed greed weed deed creed steed bodied darling starling earring
    herring duckling inning stocking offspring ted fred alfred mohammed ahmed muhammed mohamed
    """
    )
)

#: Stems before -ed/-ing that lost a silent "e" ("creat", "decid", "releas"), by their last letters ...
_SILENT_E = tuple(
    listed(
        """
    v u dg rg lg ag eg ug ig rs ns ps ls as es is os us ys ac ec ic oc uc nc rc sc z at et ot ut in un
    on en an ir ar or ur ul il ol bl tl dl gl pl kl fl zl cl id ad od ud ak ok ik uk am om um ap op yp
    ip ib ub ob af if yz chang rrang lleng veng plung ung rang spons wast past tast hast cit nit quit
    vit writ bath cloth breath eath soth sid yl mov gin ced
    """
    )
)
#: ... and those that did not ("treat", "train", "appear").
_NO_SILENT_E = tuple(
    listed(
        """
    eat oat eet oot out ain oin ein own awn ean een oon oan ern urn air ear our oar oor eer oir ail
    oil ool oul eil aid oid ead oad ood oud eak oak ook eek eam oam aim oom eap oap oop eep oup elop
    eip iss oss ass ess uss focus icket arket arget ocket anket udget iet eaf oaf ison eason rison
    tton ention ition ation tion sion ason andon eckon ardon pen ten den ken sen men ven en can man
    plan gan onor avor uthor itor ponsor ector ctor nchor abor umor llar war ollar ilot ivot ickup
    ebut osit isit imit edit dmit mmit bit rofit benefit ecruit uit ait eit ibit oit xit allot riot
    pivot fax pilot ballot rust aut hout ioneer spoil evelop hip ship quip ossip roup allop climb omb
    umb limb ctic imic anic raffic mimic picnic roadcast ambas bias canvas onsist ocus cus
    """
    )
)
_RESTORED = (
    "aus",
    "iat",
    "ibut",
    "itut",
    "ebat",
    "vis",
    "creat",
    "accus",
    "excus",
    "releas",
    "increas",
    "decreas",
    "purchas",
    "guarante",
)
_VOWELS = frozenset("aeiouy")
_DOUBLED = frozenset(x + x for x in "bdgmnprtl")
#: Verbs that end in a doubled letter in their own right.
_KEEP_DOUBLE = ("ill", "all", "ell", "oll", "ull", "add", "odd", "egg", "butt", "inn", "ebb", "purr")


def _irregular() -> dict[str, str]:
    forms: dict[str, str] = {}
    for group in f"{_IRREGULAR_VERBS}|{_IRREGULAR_NOUNS}".replace("\n", "|").split("|"):
        forms_of = group.split()
        head = forms_of[0] if forms_of else ""
        forms[head] = head
        for form in forms_of[1:]:
            forms.setdefault(form, head)
    forms.update(dict.fromkeys(_UNCHANGED, ""))
    contracted = {
        "n't": "not",
        "ca": "can",
        "wo": "will",
        "travelled": "travel",
        "travelling": "travel",
        "chaos": "chaos",
    }
    return {form: head or form for form, head in forms.items() if form} | contracted


_FORMS = _irregular()


@lru_cache(maxsize=16_384)
def lemma_of(word: str) -> str:
    """Return the lemma of one lower-case word; a word that no rule knows comes back as it is."""
    known = _FORMS.get(word)
    if known is not None:
        return known
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("s"):
        return _without_s(word)
    return _without_suffix(word)


def _without_suffix(word: str) -> str:
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("ed"):
        return _stem(word, word[:-2])
    return _stem(word, word[:-3]) if word.endswith("ing") else word


def _without_s(word: str) -> str:
    if word.endswith(("ss", "us", "is", "ous")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zzes", "oes")):
        return word[:-2]
    return word[:-1]


def _stem(word: str, stem: str) -> str:
    if (
        len(stem) < 2
        or not any(char in _VOWELS for char in stem)
        or (stem.endswith("e") and word.endswith("eed"))
    ):
        return word
    if stem[-2:] in _DOUBLED:
        return stem if stem.endswith(_KEEP_DOUBLE) else stem[:-1]
    if stem.endswith(_RESTORED):
        return stem + "e"
    if len(stem) == 2 or _is_short_with_e(stem):
        return stem + "e"
    if stem.endswith(_SILENT_E) and not stem.endswith(_NO_SILENT_E):
        return stem + "e"
    return stem


def _is_short_with_e(stem: str) -> bool:
    """Return whether the stem is consonant, vowel, consonant: without an "e" the last would be doubled."""
    if len(stem) not in (3, 4):
        return False
    vowel, last = stem[-2], stem[-1]
    return vowel in "aeiou" and last not in "aeiouwxy" and not any(char in _VOWELS for char in stem[:-2])
