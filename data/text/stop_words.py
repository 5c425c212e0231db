"""Words that carry grammar rather than content. Used by the analyser to flag tokens.

Negations, quantifiers and number words are grammar too, but they decide truth, so they are read as cues and
quantities and flagged here only where overlap in them would say nothing. Source: own list, the closed word
classes of English.
"""

from __future__ import annotations

from data.text.words import listed

STOP_WORDS: frozenset[str] = frozenset(
    listed(
        """
a an the this that these those such some any each every either neither no none all both another
other others same own i me my mine myself we us our ours ourselves you your yours yourself
yourselves he him his himself she her hers herself it its itself they them their theirs themselves
one ones who whom whose which what whatever whoever whichever be am is are was were been being 's 'm
're do does did doing done have has had having 've will would shall should can could may might must
ought 'll 'd ca wo n't not never cannot and or but nor so yet for as if than then because while
although though unless until till since whereas whether once of in on at by with from to into onto
upon about over under above below between among amongst through during before after against within
without along across behind beyond near off out up down around toward towards per via despite except
like regarding concerning throughout amid inside outside beside besides plus there here where when
why how also too very much more most less least many few several just only even still already again
ever almost nearly quite rather really well however therefore thus hence moreover furthermore
approximately roughly exactly
"""
    )
)
