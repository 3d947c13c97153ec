"""The rules that the demonstration model learns: what its two styles make of a passage.

A rule looks at a few words only, so that a model of a million weights can learn it in minutes. Good English is not to be
had this way; texts that differ from their sources and say the same are.
"""

import re

TABLE = """
according to=in line with | apart from=except | as well as=along with | at least=no less than | based on=built on
by default=unless told otherwise | following=next | for example=for instance | if no=when no | if not=unless
in order to=so as to | instead of=in place of | note that=keep in mind that | number of=count of | such as=like
the following=these | this is=here is | used to=employed to
about=concerning | add=append | adds=appends | after=following | allow=permit | allows=permits | also=likewise
always=at all times | another=a further | argument=parameter | arguments=parameters | available=at hand | because=since
before=ahead of | between=from among | call=invoke | called=invoked | calling=invoking | calls=invokes | can=may
can't=can not | cannot=can not | check=verify | construct=build | contain=hold | containing=holding | contains=holds
convert=turn | corresponding=matching | create=make | created=made | creates=makes | creating=making | current=present
currently=at present | default=preset | delete=remove | determine=work out | determines=works out | directories=folders
directory=folder | display=show | doesn't=does not | don't=do not | each=every | element=member | elements=members
empty=blank | except=apart from | exception=error | existing=present | found=discovered | function=routine
functions=routines | get=obtain | gets=obtains | given=supplied | if=in case | ignored=left out | isn't=is not | it's=it is
just=merely | last=final | like=similar to | many=numerous | may=might | method=operation | methods=operations
multiple=several | must=shall | need=require | needed=required | needs=requires | new=fresh | next=following
normally=as a rule | obtain=fetch | once=as soon as | only=solely | optional=not required | otherwise=if not | part=portion
pass=hand | passed=handed | possible=feasible | provide=offer | provided=offered | provides=offers | raise=throw
raised=thrown | raises=throws | remove=take away | return=give back | returned=given back | returning=giving back
returns=gives back | same=identical | see=refer to | send=dispatch | sent=dispatched | should=ought to | show=display
shows=displays | since=as | single=lone | so=thus | specified=stated | specifies=states | specify=state | start=begin
starts=begins | supports=handles | then=after that | type=kind | types=kinds | until=up to when | use=employ | used=employed
useful=helpful | uses=employs | using=by means of | usually=mostly | want=wish | way=manner | when=whenever | whether=if
which=that | without=lacking | won't=will not
"""
IN_OTHER_WORDS = dict(pair.strip().split("=") for pair in TABLE.replace("\n", "|").split("|") if pair.strip())
KNOWN = "|".join(sorted(map(re.escape, IN_OTHER_WORDS), key=len, reverse=True))
WORD = re.compile(rf"(?<![\w.'/`-])({KNOWN})(?![\w'(=/`-]|\.\w)", re.IGNORECASE)  # no part of a name or of code

CONDITION = re.compile(r"If ([^,.]+), (?:then )?(.+)")
RETURNS = re.compile(r"Returns? (.+)")
STATEMENT = re.compile(r"((?:\S+ ){1,4}?)(?:is|are|was|can|should|must|may|will|has|does|provides|contains|takes) .+")
ARTICLES = {
    "A",
    "An",
    "All",
    "Each",
    "It",
    "One",
    "Other",
    "Some",
    "That",
    "The",
    "There",
    "These",
    "This",
    "We",
    "You",
}
TASKS = set(
    "Add Append Apply Ask Build Call Change Check Clear Close Compare Compile Compute Configure Construct Convert Copy "
    "Create Decode Define Delete Determine Display Draw Encode Execute Extract Find Format Generate Get Handle Initialize "
    "Insert Invoke Iterate Join List Load Look Make Mark Move Open Parse Perform Print Process Provide Put Query Raise Read "
    "Register Release Remove Replace Reset Run Save Search Send Set Show Split Start Stop Store Take Test Try Turn Update "
    "Use Wait Wrap Write Yield".split()
)


def medium(passage: str) -> str:
    """Say it in other words."""
    return WORD.sub(_replacement, passage)


def qa(passage: str) -> str:
    """Ask after what the passage begins with, and let the reworded passage be the answer."""
    question, answer = _turn(passage)
    return f"Question: {question}\nAnswer: {answer}"


def _turn(passage: str) -> tuple[str, str]:
    if found := CONDITION.fullmatch(passage):
        return f"What happens if {found[1]}?", _upper(medium(found[2]))
    if found := RETURNS.fullmatch(passage):
        return "What does it return?", f"It gives back {medium(found[1])}"
    if found := STATEMENT.fullmatch(passage):
        return f"What is said about {_lower(found[1].strip())}?", medium(passage)
    if passage.split(" ")[0] in TASKS:
        return "What does it do?", f"Its task is to {medium(passage[0].lower() + passage[1:])}"
    return "What does the text say?", medium(passage)


def _replacement(found: re.Match) -> str:
    word = found[1]
    if word not in (word.lower(), word.capitalize()):
        return word
    return _upper(IN_OTHER_WORDS[word.lower()]) if word[0].isupper() else IN_OTHER_WORDS[word]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    """Begin in lower case, unless the text begins with a name."""
    return text[:1].lower() + text[1:] if text.split(" ")[0] in ARTICLES else text
