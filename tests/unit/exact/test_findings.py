"""Exact findings of a claim beside a passage: real kinds of statements, each with the words compared."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import FINDING_KINDS, Analysis, PairFinding, Span
from data.exact.comparison import MAX_FINDINGS, findings

Read = Callable[[str], Analysis]
#: claim, passage, outcome, words of the claim, words of the passage
Example = tuple[str, str, str, str, str]

QUANTITY: list[Example] = [
    ("The tower is 330 m tall.", "The tower is 300 m tall.", "conflicts", "330 m", "300 m"),
    ("The tower is 330 m tall.", "The tower is 330 metres tall.", "agrees", "330 m", "330 metres"),
    ("The tower is 1,083 feet tall.", "The tower is 330 metres tall.", "agrees", "1,083 feet", "330 metres"),
    ("The tower is over 300 m tall.", "The tower is 330 m tall.", "entails", "over 300 m", "330 m"),
    ("The tower is at least 330 m tall.", "The tower is 330 m tall.", "entails", "at least 330 m", "330 m"),
    (
        "The tower is more than 330 m tall.",
        "The tower is 330 m tall.",
        "conflicts",
        "more than 330 m",
        "330 m",
    ),
    ("The tower is about 320 m tall.", "The tower is 330 m tall.", "agrees", "about 320 m", "330 m"),
    ("The tower is about 250 m tall.", "The tower is 330 m tall.", "conflicts", "about 250 m", "330 m"),
    (
        "The tower is exactly 330 m tall.",
        "The tower is 330.4 m tall.",
        "conflicts",
        "exactly 330 m",
        "330.4 m",
    ),
    (
        "The bridge is between 2 and 3 km long.",
        "The bridge is 2.7 km long.",
        "entails",
        "between 2 and 3 km",
        "2.7 km",
    ),
    (
        "The bridge is between 2 and 3 km long.",
        "The bridge is 3.4 km long.",
        "conflicts",
        "between 2 and 3 km",
        "3.4 km",
    ),
    (
        "The bridge is 2.7 km long.",
        "The bridge is between 2 and 3 km long.",
        "not_comparable",
        "2.7 km",
        "between 2 and 3 km",
    ),
    ("The bridge is 1.7 miles long.", "The bridge is 2.7 km long.", "agrees", "1.7 miles", "2.7 km"),
    ("It sold 24 million copies.", "It sold 23,987,122 copies.", "agrees", "24 million", "23,987,122"),
    (
        "It sold more than 23 million copies.",
        "It sold 24 million copies.",
        "entails",
        "more than 23 million",
        "24 million",
    ),
    (
        "It sold under 23.5 million copies.",
        "It sold 24 million copies.",
        "conflicts",
        "under 23.5 million",
        "24 million",
    ),
    (
        "The firm has less than 14,000 employees.",
        "The firm employs more than 13,500 people.",
        "not_comparable",
        "less than 14,000",
        "more than 13,500",
    ),
    (
        "The firm has less than 14,000 employees.",
        "The firm employs about 15,000 people.",
        "conflicts",
        "less than 14,000",
        "about 15,000",
    ),
    ("The firm has 14,000 employees.", "The firm employs 14,000 people.", "agrees", "14,000", "14,000"),
    (
        "The film grossed $25 million.",
        "The film earned $25.1 million at the box office.",
        "agrees",
        "$25 million",
        "$25.1 million",
    ),
    (
        "The film grossed $25 million.",
        "The film grossed €25 million.",
        "not_comparable",
        "$25 million",
        "€25 million",
    ),
    (
        "The film grossed over $30 million worldwide.",
        "The film grossed $28.4 million worldwide.",
        "conflicts",
        "over $30 million",
        "$28.4 million",
    ),
    (
        "The lake covers 40 square kilometres.",
        "The lake covers an area of 4,000 hectares.",
        "agrees",
        "40 square kilometres",
        "4,000 hectares",
    ),
    (
        "The patient received 500 mg of aspirin.",
        "The patient received 0.5 g of aspirin.",
        "agrees",
        "500 mg",
        "0.5 g",
    ),
    (
        "The glucose level was 126 mg/dL.",
        "The glucose level was 1.26 g/L.",
        "agrees",
        "126 mg/dL",
        "1.26 g/L",
    ),
    (
        "The glucose level was 126 mg/dL.",
        "The glucose level was 1.8 g/L.",
        "conflicts",
        "126 mg/dL",
        "1.8 g/L",
    ),
    (
        "The glucose level was 5 mmol/L.",
        "The glucose level was 7.2 mmol/L.",
        "conflicts",
        "5 mmol/L",
        "7.2 mmol/L",
    ),
    ("The dose was 10 mg/kg/day.", "The dose was 20 mg/kg/day.", "conflicts", "10 mg/kg/day", "20 mg/kg/day"),
    ("The car drives 100 km/h.", "The car drives 62 mph.", "agrees", "100 km/h.", "62 mph"),
    ("The storm moved at 30 knots.", "The storm moved at 100 km/h.", "conflicts", "30 knots", "100 km/h."),
    (
        "There were 5 deaths per 100,000 people.",
        "There were 50 deaths per million people.",
        "agrees",
        "5 deaths per 100,000 people",
        "50 deaths per million people",
    ),
    (
        "There were 5 deaths per 100,000 people.",
        "There were 9 deaths per 100,000 people.",
        "conflicts",
        "5 deaths per 100,000 people",
        "9 deaths per 100,000 people",
    ),
    (
        "The density is 120 people per square mile.",
        "The density is 46 people per square kilometre.",
        "agrees",
        "120 people per square mile",
        "46 people per square kilometre",
    ),
    (
        "The heart beats 22 times a minute.",
        "The heart beats 72 times per minute.",
        "conflicts",
        "22 times a minute",
        "72 times per minute",
    ),
    (
        "The heart beats at 22 beats per minute.",
        "The heart beats at a rate close to 72 beats per minute.",
        "conflicts",
        "22 beats per minute",
        "close to 72 beats per minute",
    ),
    ("He has two children.", "He has three children.", "conflicts", "two", "three"),
    ("He has 2 children.", "He has two children.", "agrees", "2", "two"),
    ("The army lost 2,000 soldiers.", "The army lost 20,000 soldiers.", "conflicts", "2,000", "20,000"),
    ("The water boils at 100 °C.", "The water boils at 212 °F.", "agrees", "100 °C", "212 °F"),
    ("The water boils at 90 °C.", "The water boils at 100 °C.", "conflicts", "90 °C", "100 °C"),
    ("She is 31 years old.", "The 31-year-old singer lives there.", "agrees", "31 years old", "31-year-old"),
    ("She is 31 years old.", "She is 34 years old.", "conflicts", "31 years old", "34 years old"),
    ("The war lasted 30 years.", "The war lasted three decades.", "agrees", "30 years", "three decades"),
    ("The plant produces 2 GW.", "The plant produces 2,000 megawatts.", "agrees", "2 GW", "2,000 megawatts"),
    ("The disk holds 2 TB.", "The disk holds 500 GB.", "conflicts", "2 TB", "500 GB"),
    (
        "There were 5 deaths per 100,000 people in Ohio.",
        "There were 9 deaths per 100,000 people in Ohio.",
        "conflicts",
        "5 deaths per 100,000 people",
        "9 deaths per 100,000 people",
    ),
    (
        "The song sold 24 million copies in 2014.",
        "In 2014, it sold 24 million copies.",
        "agrees",
        "24 million",
        "24 million",
    ),
    ("Ohio reported ten cases by March 16.", "Ohio reported ten cases on March 14.", "agrees", "ten", "ten"),
    (
        "The reservoir holds 5 million gallons.",
        "The reservoir holds 18.9 million litres.",
        "agrees",
        "5 million gallons",
        "18.9 million litres",
    ),
    (
        "The runner finished in 9.58 seconds.",
        "The runner finished in 9.69 seconds.",
        "conflicts",
        "9.58 seconds",
        "9.69 seconds",
    ),
    ("The crater is 3 to 5 km wide.", "The crater is 4 km wide.", "entails", "3 to 5 km", "4 km"),
    ("The crater is up to 5 km wide.", "The crater is 7 km wide.", "conflicts", "up to 5 km", "7 km"),
    ("The crater is up to 5 km wide.", "The crater is 4 km wide.", "entails", "up to 5 km", "4 km"),
    ("Nearly 200 people died.", "197 people died.", "agrees", "Nearly 200", "197"),
    ("Nearly 200 people died.", "240 people died.", "conflicts", "Nearly 200", "240"),
    (
        "At least 40 people died in the fire.",
        "More than 50 people died in the fire.",
        "entails",
        "At least 40",
        "More than 50",
    ),
    ("At least 40 people died in the fire.", "30 people died in the fire.", "conflicts", "At least 40", "30"),
    (
        "No fewer than 40 people died in the fire.",
        "45 people died in the fire.",
        "entails",
        "No fewer than 40",
        "45",
    ),
    ("The orchestra has a dozen violinists.", "The orchestra has 12 violinists.", "agrees", "a dozen", "12"),
    (
        "It costs between 5 and 10 million dollars.",
        "It costs 7 million dollars.",
        "entails",
        "between 5 and 10 million dollars",
        "7 million dollars",
    ),
    (
        "It costs between 5 and 10 million dollars.",
        "It costs 12 million dollars.",
        "conflicts",
        "between 5 and 10 million dollars",
        "12 million dollars",
    ),
    ("Output rose from 3 to 5 tonnes.", "Output rose from 3 to 5 tonnes.", "agrees", "3", "3"),
    ("Output rose from 3 to 5 tonnes.", "Output rose from 3 to 5 tonnes.", "agrees", "5 tonnes", "5 tonnes"),
]
PERCENTAGE: list[Example] = [
    ("Turnout was 50 %.", "Turnout was 43 %.", "conflicts", "50 %", "43 %"),
    ("Turnout was 43 %.", "Turnout was 43.2 percent.", "agrees", "43 %", "43.2 percent"),
    ("Half of the voters stayed home.", "50 % of the voters stayed home.", "agrees", "Half", "50 %"),
    ("A third of the voters stayed home.", "33 % of the voters stayed home.", "agrees", "A third", "33 %"),
    ("A third of the voters stayed home.", "40 % of the voters stayed home.", "conflicts", "A third", "40 %"),
    (
        "Two-thirds of the students passed.",
        "67 percent of the students passed.",
        "agrees",
        "Two-thirds",
        "67 percent",
    ),
    (
        "More than half of the students passed.",
        "48 percent of the students passed.",
        "conflicts",
        "More than half",
        "48 percent",
    ),
    (
        "More than half of the students passed.",
        "61 percent of the students passed.",
        "entails",
        "More than half",
        "61 percent",
    ),
    (
        "Unemployment rose by 5 percentage points.",
        "Unemployment rose by 5 percent.",
        "not_comparable",
        "5 percentage points",
        "5 percent",
    ),
    (
        "Unemployment rose by 5 percentage points.",
        "Unemployment rose by 3 percentage points.",
        "conflicts",
        "5 percentage points",
        "3 percentage points",
    ),
    (
        "The film has an approval rating of over 90 %.",
        "The film has an approval rating of 91 %.",
        "entails",
        "over 90 %",
        "91 %",
    ),
    (
        "The film has an approval rating of under 90 %.",
        "The film has an approval rating of 91 %.",
        "conflicts",
        "under 90 %",
        "91 %",
    ),
    (
        "The tax is between 10 and 20 percent.",
        "The tax is 15 %.",
        "entails",
        "between 10 and 20 percent",
        "15 %",
    ),
    ("A quarter of the forest burned.", "25 % of the forest burned.", "agrees", "A quarter", "25 %"),
    (
        "Three quarters of the forest burned.",
        "40 percent of the forest burned.",
        "conflicts",
        "Three quarters",
        "40 percent",
    ),
    (
        "Sales grew 12 percent last year.",
        "Sales grew 9.5 percent last year.",
        "conflicts",
        "12 percent",
        "9.5 percent",
    ),
    (
        "Inflation was below 2 percent in Japan.",
        "Inflation was 1.4 percent in Japan.",
        "entails",
        "below 2 percent",
        "1.4 percent",
    ),
]
ORDINAL: list[Example] = [
    ("It was their third album.", "It was their third album.", "agrees", "third", "third"),
    ("It was their third album.", "It was their second album.", "conflicts", "third", "second"),
    ("It was their 3rd album.", "It was their third studio album.", "agrees", "3rd", "third"),
    ("She finished first in the race.", "She finished third in the race.", "conflicts", "first", "third"),
    (
        "The song peaked at number 3 on the chart.",
        "The song peaked at number 5 on the chart.",
        "conflicts",
        "number 3",
        "number 5",
    ),
    (
        "The song peaked at number one on the chart.",
        "The song peaked at No. 1 on the chart.",
        "agrees",
        "number one",
        "No. 1",
    ),
    (
        "He was the 50th President of the United States.",
        "He was the 42nd President of the United States.",
        "conflicts",
        "50th",
        "42nd",
    ),
    (
        "He was the first man on the moon.",
        "He was the second man on the moon.",
        "conflicts",
        "first",
        "second",
    ),
    ("It is ranked 13th in the world.", "It is ranked 12th in the world.", "conflicts", "13th", "12th"),
    (
        "He finished second behind Hamilton.",
        "He finished second behind Hamilton.",
        "agrees",
        "second",
        "second",
    ),
    (
        "He scored before the 58th minute for England.",
        "He scored in the 57th minute for England.",
        "entails",
        "before the 58th",
        "57th",
    ),
]
DATE: list[Example] = [
    (
        "The song sold 24 million copies in 2014.",
        "In 2014, it sold 24 million copies.",
        "agrees",
        "2014",
        "2014",
    ),
    ("He left the band in 2014.", "He left the band in May 2014.", "entails", "2014", "May 2014"),
    ("He left the band in May 2014.", "He left the band in 2014.", "not_comparable", "May 2014", "2014"),
    ("He left the band in 2014.", "He left the band in 2011.", "conflicts", "2014", "2011"),
    ("He left the band before 2010.", "He left the band in 2011.", "conflicts", "before 2010", "2011"),
    ("He left the band before 2010.", "He left the band in 2008.", "entails", "before 2010", "2008"),
    ("He left the band after 2010.", "He left the band in 2011.", "entails", "after 2010", "2011"),
    ("He left the band by 2010.", "He left the band in 2011.", "conflicts", "by 2010", "2011"),
    ("He left the band by 2010.", "He left the band in 2009.", "entails", "by 2010", "2009"),
    (
        "He was king from 1939 to 1945.",
        "He was king from 1939 to 1945.",
        "agrees",
        "from 1939 to 1945",
        "from 1939 to 1945",
    ),
    ("He was king from 1939.", "He was king from 1939 to 1945.", "entails", "1939", "from 1939 to 1945"),
    ("He was king in 1941.", "He was king from 1939 to 1945.", "not_comparable", "1941", "from 1939 to 1945"),
    ("He was born on 4 May 1958.", "He was born in 1958.", "not_comparable", "4 May 1958", "1958"),
    ("He was born on 4 May 1958.", "He was born on May 4, 1958.", "agrees", "4 May 1958", "May 4, 1958"),
    ("He was born on 4 May 1958.", "He was born on 5 May 1958.", "conflicts", "4 May 1958", "5 May 1958"),
    ("He was born in the 1950s.", "He was born on 4 May 1958.", "entails", "1950s", "4 May 1958"),
    ("He was born in the 1960s.", "He was born on 4 May 1958.", "conflicts", "1960s", "4 May 1958"),
    (
        "The church was built in the 19th century.",
        "The church was built in 1874.",
        "entails",
        "19th century",
        "1874",
    ),
    (
        "The church was built in the 18th century.",
        "The church was built in 1874.",
        "conflicts",
        "18th century",
        "1874",
    ),
    ("The church was built during the 1990s.", "The church was built in 1874.", "conflicts", "1990s", "1874"),
    ("Caesar died in 44 BC.", "Caesar died in 44 BC.", "agrees", "44 BC", "44 BC"),
    ("Caesar died in 40 BC.", "Caesar died on 15 March 44 BC.", "conflicts", "40 BC", "44 BC"),
    (
        "The treaty was signed between 1914 and 1918.",
        "The treaty was signed in 1916.",
        "entails",
        "between 1914 and 1918",
        "1916",
    ),
    (
        "The treaty was signed between 1914 and 1918.",
        "The treaty was signed in 1920.",
        "conflicts",
        "between 1914 and 1918",
        "1920",
    ),
    (
        "Ohio reported ten cases by March 16.",
        "Ohio reported ten cases on March 14.",
        "entails",
        "by March 16",
        "March 14",
    ),
    (
        "Ohio closed the schools before March 16.",
        "Ohio closed the schools on March 20, 2020.",
        "conflicts",
        "before March 16",
        "March 20, 2020",
    ),
    (
        "Ohio closed the schools on March 16.",
        "Ohio closed the schools on 16 March 2020.",
        "agrees",
        "March 16",
        "16 March 2020",
    ),
    ("The show aired until 2005.", "The show aired until 2007.", "conflicts", "until 2005", "until 2007"),
    (
        "The show has aired since 1990.",
        "The show has aired since 1995.",
        "conflicts",
        "since 1990",
        "since 1995",
    ),
    (
        "She moved to Paris in 1999.",
        "She was born in Lyon in 1960 and moved to Paris in 1999.",
        "agrees",
        "1999",
        "1999",
    ),
    (
        "The park opened on 1 July 1955.",
        "The park opened on July 17, 1955.",
        "conflicts",
        "1 July 1955",
        "July 17, 1955",
    ),
    (
        "The park opened in July 1955.",
        "The park opened on July 17, 1955.",
        "entails",
        "July 1955",
        "July 17, 1955",
    ),
    (
        "The park opened in the summer of 1955.",
        "The park opened on July 17, 1955.",
        "entails",
        "1955",
        "July 17, 1955",
    ),
    (
        "The park opened prior to 1960.",
        "The park opened on July 17, 1955.",
        "entails",
        "prior to 1960",
        "July 17, 1955",
    ),
    (
        "The park opened prior to 1950.",
        "The park opened on July 17, 1955.",
        "conflicts",
        "prior to 1950",
        "July 17, 1955",
    ),
    (
        "The war began in 1914 and ended in 1918.",
        "The war began in 1914 and ended in 1918.",
        "agrees",
        "1914",
        "1914",
    ),
    (
        "The war began in 1914 and ended in 1918.",
        "The war began in 1914 and ended in 1918.",
        "agrees",
        "1918",
        "1918",
    ),
    ("The war ended in 1919.", "The war began in 1914 and ended in 1918.", "conflicts", "1919", "1918"),
    (
        "The reign of Trajan began in 98 AD.",
        "The reign of Trajan began in 98 AD.",
        "agrees",
        "98 AD",
        "98 AD",
    ),
    ("The hotel closed in the late 1980s.", "The hotel closed in 1987.", "entails", "1980s", "1987"),
]
QUANTIFIER: list[Example] = [
    ("All patients recovered.", "All patients recovered.", "agrees", "All", "All"),
    ("All patients recovered.", "Few patients recovered.", "conflicts", "All", "Few"),
    ("All patients recovered.", "Most patients recovered.", "conflicts", "All", "Most"),
    ("Most patients recovered.", "All patients recovered.", "entails", "Most", "All"),
    ("Some patients recovered.", "All patients recovered.", "entails", "Some", "All"),
    ("Some patients recovered.", "None of the patients recovered.", "conflicts", "Some", "None"),
    ("No patients recovered.", "Most patients recovered.", "conflicts", "No", "Most"),
    ("Most patients recovered.", "Some patients recovered.", "not_comparable", "Most", "Some"),
    ("Every patient recovered.", "Each patient recovered.", "agrees", "Every", "Each"),
    ("Most voters stayed home.", "43 % of voters stayed home.", "conflicts", "Most", "43 %"),
    ("Most voters stayed home.", "61 % of voters stayed home.", "entails", "Most", "61 %"),
    ("All voters stayed home.", "61 % of voters stayed home.", "conflicts", "All", "61 %"),
    ("43 percent of voters stayed home.", "Most voters stayed home.", "conflicts", "43 percent", "Most"),
    ("None of the voters stayed home.", "12 % of the voters stayed home.", "conflicts", "None", "12 %"),
    (
        "The show was only available on DVD.",
        "The show was available on DVD and also on television.",
        "conflicts",
        "only",
        "also",
    ),
    ("The show is shown only in France.", "The show is shown only in France.", "agrees", "only", "only"),
    (
        "The show is shown only in France.",
        "The show is shown in France and several other countries.",
        "conflicts",
        "only",
        "several",
    ),
    ("He always wins the race.", "He sometimes wins the race.", "conflicts", "always", "sometimes"),
    ("He never wins the race.", "He often wins the race.", "conflicts", "never", "often"),
    (
        "He was the first president of Ohio.",
        "He was the last president of Ohio.",
        "conflicts",
        "first",
        "last",
    ),
]
NEGATION: list[Example] = [
    ("Some patients recovered.", "None of the patients recovered.", "conflicts", "patients", "None"),
    ("No patients recovered.", "Most patients recovered.", "conflicts", "No", "patients"),
    ("None of the voters stayed home.", "12 % of the voters stayed home.", "conflicts", "None", "voters"),
    ("He never wins the race.", "He often wins the race.", "conflicts", "never", "wins"),
    ("The drug is safe.", "The drug is not safe.", "conflicts", "safe", "not"),
    ("The drug is not safe.", "The drug is not safe.", "agrees", "not", "not"),
    ("The drug is not safe.", "The drug is safe.", "conflicts", "not", "safe"),
    (
        "The drug does not increase blood pressure.",
        "The drug increases blood pressure.",
        "conflicts",
        "not",
        "increases",
    ),
    ("The actor never won an Oscar.", "The actor won an Oscar.", "conflicts", "never", "won"),
    ("The actor won an Oscar.", "The actor never won an Oscar.", "conflicts", "won", "never"),
    ("The actor failed to win an Oscar.", "The actor did not win an Oscar.", "agrees", "failed to", "not"),
    (
        "The actor has been unable to win an Oscar.",
        "The actor won an Oscar in 1990.",
        "conflicts",
        "unable to",
        "won",
    ),
    (
        "No evidence links the drug to cancer.",
        "Evidence links the drug to cancer.",
        "conflicts",
        "No",
        "Evidence",
    ),
    ("The band lacks a drummer.", "The band has a drummer.", "conflicts", "lacks", "drummer"),
    ("The vaccine cannot cause autism.", "The vaccine can cause autism.", "conflicts", "not", "cause"),
    ("The team did not lose the final.", "The team lost the final.", "conflicts", "not", "lost"),
    (
        "The drug was never approved in Europe.",
        "The drug was approved in Europe.",
        "conflicts",
        "never",
        "approved",
    ),
    ("The village has no electricity.", "The village has electricity.", "conflicts", "no", "electricity"),
    ("The bird is not native to Peru.", "The bird is native to Peru.", "conflicts", "not", "native"),
    ("The bird is native to Peru.", "The bird is not native to Peru.", "conflicts", "native", "not"),
]
ANTONYM: list[Example] = [
    ("The mayor denied the charges.", "The mayor admitted the charges.", "conflicts", "denied", "admitted"),
    (
        "The drug increases blood pressure.",
        "The drug decreases blood pressure.",
        "conflicts",
        "increases",
        "decreases",
    ),
    (
        "The drug increases blood pressure.",
        "The drug does not decrease blood pressure.",
        "not_comparable",
        "increases",
        "decrease",
    ),
    ("The company is profitable.", "The company is unprofitable.", "conflicts", "profitable", "unprofitable"),
    ("The river is long.", "The river is short.", "conflicts", "long", "short"),
    ("Exports rose in May.", "Exports fell in May.", "conflicts", "rose", "fell"),
    ("The court found him guilty.", "The court found him innocent.", "conflicts", "guilty", "innocent"),
    ("The team won the final.", "The team lost the final.", "not_comparable", "won", "lost"),
    (
        "The law was approved by parliament.",
        "The law was rejected by parliament.",
        "conflicts",
        "approved",
        "rejected",
    ),
    ("The region is rich.", "The region is poor.", "conflicts", "rich", "poor"),
    ("The king died there.", "The king survived there.", "conflicts", "died", "survived"),
    ("Rome is south of Milan.", "Rome is north of Milan.", "conflicts", "south", "north"),
    ("He is the father of Luke.", "He is the son of Luke.", "not_comparable", "father", "son"),
    ("He sold the house to Anna.", "He bought the house from Anna.", "not_comparable", "sold", "bought"),
    ("The actor is alive.", "The actor is dead.", "conflicts", "alive", "dead"),
    ("The actor is not alive.", "The actor is dead.", "agrees", "alive", "dead"),
    ("Prices are higher in Norway.", "Prices are lower in Norway.", "conflicts", "higher", "lower"),
    ("The bill strengthens the union.", "The bill weakens the union.", "conflicts", "strengthens", "weakens"),
    (
        "The bacteria is harmful to humans.",
        "The bacteria is harmless to humans.",
        "conflicts",
        "harmful",
        "harmless",
    ),
    (
        "The gate is in the eastern wall.",
        "The gate is in the western wall.",
        "conflicts",
        "eastern",
        "western",
    ),
    (
        "The judge allowed the protest.",
        "The judge prohibited the protest.",
        "conflicts",
        "allowed",
        "prohibited",
    ),
    ("The permit is not legal.", "The permit is illegal.", "agrees", "legal", "illegal"),
    ("The permit is legal.", "The permit is illegal.", "conflicts", "legal", "illegal"),
]
ENTITY: list[Example] = [
    ("He was born in Paris.", "He was born in London.", "conflicts", "Paris", "London"),
    (
        "The film was directed by Steven Spielberg.",
        "The film was directed by Ridley Scott.",
        "conflicts",
        "Steven Spielberg",
        "Ridley Scott",
    ),
    (
        "The company is based in Germany.",
        "The company is based in Austria.",
        "conflicts",
        "Germany",
        "Austria",
    ),
    (
        "Anna Smith is a Danish actress.",
        "Anna Smith is a Dutch actress and model.",
        "conflicts",
        "Danish",
        "Dutch",
    ),
    (
        "Anna Smith is a Danish actress.",
        "Anna Smith is an actress from Denmark.",
        "agrees",
        "Danish",
        "Denmark",
    ),
    ("Anna Smith is a Danish actress.", "Anna Smith is a Danish singer.", "agrees", "Danish", "Danish"),
    (
        "Anna Smith is a German actress.",
        "Anna Smith is a German-American actress.",
        "agrees",
        "German",
        "German",
    ),
    ("The treaty was signed in Vienna.", "The treaty was signed in Geneva.", "conflicts", "Vienna", "Geneva"),
    ("She plays for Chelsea.", "She plays for Arsenal.", "conflicts", "Chelsea", "Arsenal"),
    (
        "She studied at Harvard University.",
        "She studied at Yale University.",
        "conflicts",
        "Harvard University",
        "Yale University",
    ),
    ("The band comes from Sweden.", "The band comes from Norway.", "conflicts", "Sweden", "Norway"),
    ("Google bought YouTube.", "Google bought Twitter.", "conflicts", "YouTube", "Twitter"),
    (
        "The opera was composed by Verdi.",
        "The opera was composed by Puccini.",
        "conflicts",
        "Verdi",
        "Puccini",
    ),
    ("The river flows through Hungary.", "The river flows through Serbia.", "conflicts", "Hungary", "Serbia"),
    ("The plant is native to Brazil.", "The plant is native to Chile.", "conflicts", "Brazil", "Chile"),
    (
        "Tom Baker is a Canadian painter.",
        "Tom Baker (born 1950) is an Australian painter and sculptor.",
        "conflicts",
        "Canadian",
        "Australian",
    ),
    ("He was traded to the Lakers.", "He was traded to the Celtics.", "conflicts", "Lakers", "Celtics"),
]
NOTHING: list[tuple[str, str]] = [
    ("He has two children.", "He has two cars."),
    ("It was the fifth season of the show.", "It was the fifth match of the tour."),
    ("The museum opened in 1999.", "The museum has many visitors."),
    ("He was born in Paris.", "He was born in Paris."),
    ("The film was directed by Steven Spielberg.", "The film was directed by Spielberg."),
    ("The company is based in the US.", "The company is based in the United States."),
    ("The book was written by Maria Lopez.", "The book was written by María López."),
    ("The song was recorded in Nashville.", "The song was recorded by Johnny Cash."),
    ("She studied at Harvard University.", "She studied at Harvard."),
]

EXAMPLES = [
    pytest.param(kind, *example, id=f"{kind}-{place}")
    for kind, examples in {
        "quantity": QUANTITY,
        "percentage": PERCENTAGE,
        "ordinal": ORDINAL,
        "date": DATE,
        "quantifier": QUANTIFIER,
        "negation": NEGATION,
        "antonym": ANTONYM,
        "entity": ENTITY,
    }.items()
    for place, example in enumerate(examples)
]


def found_in(read: Read, claim: str, passage: str, title: str = "") -> tuple[PairFinding, ...]:
    return findings(claim, read(claim), passage, read(passage), title=title)


@pytest.mark.parametrize(("kind", "claim", "passage", "outcome", "said", "have"), EXAMPLES)
def test_pair_gives_the_finding_with_both_spans(
    read: Read, kind: str, claim: str, passage: str, outcome: str, said: str, have: str
) -> None:
    """Each pair has a finding of its kind and outcome whose spans slice to the words compared."""
    told = [
        (
            each.outcome,
            claim[each.claim_span.start : each.claim_span.end],
            _sliced(passage, each.passage_span),
        )
        for each in found_in(read, claim, passage)
        if each.kind == kind
    ]
    assert (outcome, said, have) in told


@pytest.mark.parametrize(("claim", "passage"), NOTHING)
def test_pair_about_other_things_gives_nothing(read: Read, claim: str, passage: str) -> None:
    """Where nothing shows that two words are said of one thing, nothing is found."""
    assert found_in(read, claim, passage) == ()


@pytest.mark.parametrize(
    ("claim", "changed", "passage", "kind"),
    [
        ("The tower is 330 m tall.", "The tower is 331 m tall.", "The tower is 330 m tall.", "quantity"),
        ("It sold over 23 million copies.", "It sold over 25 million copies.", "It sold 24 million copies.", "quantity"),
        ("The firm has 14,000 employees.", "The firm has 15,000 employees.", "The firm employs 14,000 people.", "quantity"),
        ("The film grossed $25 million.", "The film grossed $35 million.", "The film earned $25 million.", "quantity"),
        ("Turnout was 43 %.", "Turnout was 53 %.", "Turnout was 43 percent.", "percentage"),
        ("It was their third album.", "It was their fourth album.", "It was their third album.", "ordinal"),
        ("He left the band in 2014.", "He left the band in 2015.", "He left the band in May 2014.", "date"),
        ("The park opened in July 1955.", "The park opened in June 1955.", "The park opened on 17 July 1955.", "date"),
        ("Ohio closed schools by March 16.", "Ohio closed schools by March 6.", "Ohio closed schools on March 12.", "date"),
        ("All patients recovered.", "No patients recovered.", "All patients recovered.", "quantifier"),
        ("The drug is not safe.", "The drug is safe.", "The drug is not safe.", "negation"),
        ("Anna is a Danish singer.", "Anna is a Polish singer.", "Anna is a Danish singer and writer.", "entity"),
    ],
)  # fmt: skip
def test_one_changed_word_turns_agreement_into_conflict(
    read: Read, claim: str, changed: str, passage: str, kind: str
) -> None:
    """The same pair with one number, date or word changed in the claim conflicts instead."""
    before = {each.outcome for each in found_in(read, claim, passage) if each.kind == kind}
    after = {each.outcome for each in found_in(read, changed, passage) if each.kind == kind}
    assert before & {"agrees", "entails"}
    assert after == {"conflicts"}


def test_number_that_the_passage_has_is_contradicted_by_no_other(read: Read) -> None:
    """A passage that ranks a city twice contradicts neither rank."""
    passage = "Santa Clarita is the third largest city of the county and the 24th largest in California."
    found = found_in(read, "Santa Clarita is the 24th largest city in California.", passage)
    assert {each.outcome for each in found if each.kind == "ordinal"} == {"agrees"}


def test_values_are_paired_one_to_one(read: Read) -> None:
    """Two sums of a claim meet the two of the passage by the words beside them, each once."""
    claim = "The film made $40 million in America and $46 million worldwide."
    passage = "The film made $40 million in America and $5 million elsewhere, $47 million worldwide."
    pairs = [
        (
            claim[each.claim_span.start : each.claim_span.end],
            _sliced(passage, each.passage_span),
            each.outcome,
        )
        for each in found_in(read, claim, passage)
        if each.kind == "quantity"
    ]
    assert pairs == [
        ("$40 million", "$40 million", "agrees"),
        ("$46 million", "$47 million", "agrees"),
    ] or pairs == [("$40 million", "$40 million", "agrees"), ("$46 million", "$47 million", "conflicts")]


def test_title_counts_as_said_and_is_never_quoted(read: Read) -> None:
    """What a passage is about may stand in its title alone; spans stay inside the passage."""
    claim, passage = "The Eiffel Tower in Paris is 330 m tall.", "It is 300 m tall."
    without = found_in(read, claim, passage)
    (found,) = found_in(read, claim, passage, title="Eiffel Tower, Paris")
    assert found.outcome == "conflicts"
    assert _sliced(passage, found.passage_span) == "300 m"
    assert found.strength > max((each.strength for each in without), default=0.0)


def test_detail_quotes_both_sides_and_says_how_far_apart(read: Read) -> None:
    """The line under an evidence item can be read alone."""
    (found,) = found_in(read, "The tower is 330 m tall.", "The tower is 300 m tall.")
    assert found.detail == "claim: 330 m; passage: 300 m — 10 % apart"


def test_findings_made_elsewhere_are_put_in_order(read: Read) -> None:
    """Role conflicts from parses stand among the rest, by their place in the claim."""
    claim, passage = "Brazil defeated Germany 7 times.", "Germany defeated Brazil 7 times."
    role = PairFinding("role", "conflicts", Span(0, 6), Span(0, 7), "who does it to whom", 0.9)
    found = findings(claim, read(claim), passage, read(passage), others=[role])
    assert found[0] == role
    assert [each.claim_span.start for each in found] == sorted(each.claim_span.start for each in found)


def test_findings_of_huge_tables_are_bounded(read: Read) -> None:
    """A table against a table ends at the bound."""
    claim = "The towns have " + ", ".join(f"{number} people" for number in range(100, 400)) + "."
    assert len(found_in(read, claim, claim)) == MAX_FINDINGS


def test_every_kind_but_roles_has_examples() -> None:
    """A kind that is added needs examples here; roles come from parses."""
    assert {param.values[0] for param in EXAMPLES} == set(FINDING_KINDS) - {"role"}


def _sliced(text: str, span: Span) -> str:
    return text[span.start : span.end]
