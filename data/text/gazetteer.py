"""Small lists of names and of the words that tell what kind of thing a name is.

Used by ``data.text.entities``. Source: own lists, from general knowledge.
"""

from __future__ import annotations

from data.text.words import listed

PLACES: frozenset[str] = frozenset(
    name.strip()
    for name in """
afghanistan, albania, algeria, andorra, angola, argentina, armenia, australia, austria, azerbaijan,
bahamas, bahrain, bangladesh, barbados, belarus, belgium, belize, benin, bhutan, bolivia, bosnia,
botswana, brazil, brunei, bulgaria, burkina faso, burundi, cambodia, cameroon, canada, cape verde, chad,
chile, china, colombia, congo, costa rica, croatia, cuba, cyprus, czech republic, czechia, denmark,
djibouti, dominica, dominican republic, ecuador, egypt, el salvador, eritrea, estonia, eswatini, ethiopia,
fiji, finland, france, gabon, gambia, georgia, germany, ghana, greece, greenland, grenada, guatemala,
guinea, guyana, haiti, honduras, hungary, iceland, india, indonesia, iran, iraq, ireland, israel, italy,
ivory coast, jamaica, japan, jordan, kazakhstan, kenya, kosovo, kuwait, kyrgyzstan, laos, latvia, lebanon,
lesotho, liberia, libya, liechtenstein, lithuania, luxembourg, madagascar, malawi, malaysia, maldives,
mali, malta, mauritania, mauritius, mexico, moldova, monaco, mongolia, montenegro, morocco, mozambique,
myanmar, burma, namibia, nepal, netherlands, new zealand, nicaragua, niger, nigeria, north korea,
north macedonia, norway, oman, pakistan, palestine, panama, papua new guinea, paraguay, peru, philippines,
poland, portugal, qatar, romania, russia, rwanda, samoa, san marino, saudi arabia, senegal, serbia,
seychelles, sierra leone, singapore, slovakia, slovenia, somalia, south africa, south korea, south sudan,
spain, sri lanka, sudan, suriname, sweden, switzerland, syria, taiwan, tajikistan, tanzania, thailand,
togo, tonga, trinidad, tunisia, turkey, turkmenistan, uganda, ukraine, united arab emirates, uae,
united kingdom, uk, u.k., great britain, britain, england, scotland, wales, northern ireland,
united states, usa, u.s., u.s, us, u.s.a., united states of america, uruguay, uzbekistan, vatican,
venezuela, vietnam, yemen, zambia, zimbabwe, hong kong, macau, tibet, africa, asia, europe, north america,
south america, antarctica, oceania, latin america, middle east, soviet union, ussr, yugoslavia,
czechoslovakia, prussia, ottoman empire, roman empire, british empire, european union, crimea, siberia,
scandinavia, caribbean, alabama, alaska, arizona, arkansas, california, colorado, connecticut, delaware,
florida, hawaii, idaho, illinois, indiana, iowa, kansas, kentucky, louisiana, maine, maryland,
massachusetts, michigan, minnesota, mississippi, missouri, montana, nebraska, nevada, new hampshire,
new jersey, new mexico, new york, north carolina, north dakota, ohio, oklahoma, oregon, pennsylvania,
rhode island, south carolina, south dakota, tennessee, texas, utah, vermont, virginia, washington,
west virginia, wisconsin, wyoming, ontario, quebec, british columbia, alberta, bavaria, catalonia,
andalusia, normandy, tuscany, sicily, sardinia, punjab, kerala, tamil nadu, maharashtra, gujarat,
queensland, victoria, new south wales, tasmania, london, paris, berlin, rome, madrid, lisbon, vienna,
prague, budapest, warsaw, moscow, saint petersburg, st. petersburg, kiev, kyiv, athens, istanbul, ankara,
cairo, tehran, baghdad, jerusalem, tel aviv, damascus, beirut, dubai, riyadh, mecca, delhi, new delhi,
mumbai, bombay, kolkata, calcutta, chennai, bangalore, karachi, lahore, islamabad, dhaka, kabul,
kathmandu, beijing, shanghai, wuhan, guangzhou, shenzhen, nanjing, tokyo, osaka, kyoto, hiroshima,
nagasaki, seoul, pyongyang, hanoi, bangkok, jakarta, manila, kuala lumpur, sydney, melbourne, brisbane,
perth, auckland, wellington, new york city, los angeles, chicago, houston, philadelphia, phoenix,
san antonio, san diego, dallas, san jose, austin, san francisco, seattle, denver, boston, detroit,
nashville, memphis, portland, las vegas, baltimore, milwaukee, albuquerque, atlanta, miami, new orleans,
cleveland, minneapolis, honolulu, pittsburgh, cincinnati, st. louis, saint louis, kansas city,
salt lake city, orlando, tampa, toronto, montreal, vancouver, ottawa, calgary, mexico city, havana,
bogota, lima, santiago, buenos aires, rio de janeiro, sao paulo, são paulo, brasilia, caracas, nairobi,
lagos, johannesburg, cape town, addis ababa, algiers, casablanca, tunis, tripoli, accra, manchester,
liverpool, birmingham, leeds, glasgow, edinburgh, cardiff, belfast, dublin, bristol, oxford, cambridge,
munich, hamburg, frankfurt, cologne, stuttgart, dresden, milan, naples, turin, venice, florence, genoa,
barcelona, valencia, seville, bilbao, marseille, lyon, nice, toulouse, bordeaux, amsterdam, rotterdam,
the hague, brussels, antwerp, zurich, geneva, basel, bern, copenhagen, oslo, stockholm, helsinki,
reykjavik, bucharest, sofia, belgrade, zagreb, sarajevo, hollywood, brooklyn, manhattan, bronx, queens,
harlem, silicon valley, atlantic, pacific, mediterranean, black sea, baltic sea, red sea, arctic,
himalayas, alps, andes, sahara, amazon river, nile
""".replace("\n", " ").split(",")
)  # fmt: skip

PLACE_HEADS: frozenset[str] = frozenset(
    listed(
        """
city river mountain mountains mount island islands county lake ocean sea bay valley district
province state states peninsula republic kingdom empire street avenue road square park airport
bridge castle desert canyon coast town village region territory falls beach hill hills creek forest
gulf strait cape fort port palace cathedral stadium arena
"""
    )
)

ORG_HEADS: frozenset[str] = frozenset(
    listed(
        """
inc inc. corp corp. corporation company co. ltd ltd. llc plc gmbh university college institute
school academy party ministry department agency association organization organisation foundation
council committee commission court bank group club fc f.c. league union federation society bureau
office board senate congress parliament church army navy force police records entertainment pictures
studios airlines airways times post hospital center centre museum library team orchestra band
network motors systems technologies industries partners holdings services laboratory laboratories
administration authority alliance cabinet house
"""
    )
)

TITLES: frozenset[str] = frozenset(
    listed(
        """
mr mr. mrs mrs. ms ms. miss dr dr. prof prof. professor president vice-president senator governor
mayor king queen prince princess emperor empress pope saint st. sir lord lady dame general colonel
captain lieutenant sergeant admiral major judge justice secretary minister chancellor chairman
director rev. reverend bishop archbishop cardinal count duke duchess baron earl sheikh sultan tsar
czar khan coach congressman congresswoman representative ambassador commander gov. sen. rep.
"""
    )
)

GIVEN_NAMES: frozenset[str] = frozenset(
    listed(
        """
james john robert michael william david richard joseph thomas charles christopher daniel matthew
anthony mark donald steven paul andrew joshua kenneth kevin brian george edward ronald timothy jason
jeffrey ryan jacob gary nicholas eric jonathan stephen larry justin scott brandon benjamin samuel
gregory frank alexander raymond patrick jack dennis jerry tyler aaron jose adam henry nathan douglas
zachary peter kyle walter ethan jeremy harold keith christian roger noah gerald carl terry sean
austin arthur lawrence jesse dylan bryan joe jordan billy bruce albert willie gabriel logan alan
juan wayne roy ralph randy eugene vincent russell elijah louis bobby philip johnny mary patricia
jennifer linda elizabeth barbara susan jessica sarah karen lisa nancy betty margaret sandra ashley
kimberly emily donna michelle carol amanda dorothy melissa deborah stephanie rebecca sharon laura
cynthia kathleen amy angela shirley anna brenda pamela emma nicole helen samantha katherine
christine debra rachel carolyn janet catherine maria heather diane ruth julie olivia joyce virginia
kelly lauren christina joan evelyn judith megan andrea cheryl hannah jacqueline martha gloria teresa
ann sara madison frances kathryn janice jean abigail alice julia judy sophia grace denise amber
doris marilyn danielle beverly isabella theresa diana natalie brittany charlotte marie kayla alexis
lori barack hillary donald bill jimmy ronald vladimir angela emmanuel boris muhammad mohammed ahmed
ali hassan ibrahim abdul omar carlos luis miguel pedro jorge antonio francisco fernando rafael ivan
sergei dmitri alexei mikhail nikolai yuri hans karl friedrich wolfgang johann ludwig otto heinrich
wilhelm pierre jacques jean françois claude marcel giovanni giuseppe marco leonardo isaac elon steve
jeff oprah beyoncé taylor kanye stanley alfred winston martin malcolm nelson mahatma raj rahul priya
narendra indira salman amitabh akira hiroshi kenji yoko wei chen jackie bruce ernest oscar leo max
sam tom tim jim ben dan ken ron ted bob rob nick mike matt chris alex tony andy
"""
    )
)

#: Words inside a name that are written small ("Lord of the Rings", "Vincent van Gogh").
NAME_JOINERS: frozenset[str] = frozenset(
    listed(
        """
of the de la le du del der den von van bin ibn al el da di dos y zu and & on in for
"""
    )
)
#: Joiners that only hold a name together when nothing else could ("and" joins two names, too).
WEAK_JOINERS: frozenset[str] = frozenset(["and", "on", "in", "for", "&"])

#: Endings of common words: a lone capital at the start of a sentence with one of these is no name.
COMMON_ENDINGS: tuple[str, ...] = tuple(
    listed(
        "ing ity ion ions ness ment ments ance ence ism ly ed ies ers ics ology "
        "ships ship hood tudes sis ful less able ible ous ive ures ists ages"
    )
)
NOT_NAMES: frozenset[str] = frozenset(
    listed(
        """
people children women men patients scientists researchers studies research doctors students workers
players teachers january february march april may june july august september october november
december monday tuesday wednesday thursday friday saturday sunday there one two three four five six
seven eight nine ten today yesterday yes no please water food most many some all few every each both
several various according despite although however before after during since until when while where
who what why how if because as in on at by for from to with without under over about around i he she
it they we you his her its their our your my this that these those the a an and or but nor so yet
not only also another other such then now here more less than just even still once
     early late mid dr. mr. mrs. ms. am pm a.m. p.m. bc ad b.c. a.d. bce ce
nobody none everyone someone anyone total vitamin cancer mice rats cells genes obesity smoking
exercise diabetes blood face masks mask taxes unemployment
"""
    )
)
