"""How the page of dynamics looks beyond what all pages share: the colours of tokens, and the legends.

Two legends are radio buttons: the one that is chosen decides, without a script, what the tokens' colours mean.
"""

from operators.learn.dynamics.classes import CLASSES
from operators.learn.dynamics.plot import COLOURS
from operators.page import TINT

KEPT = "#e0a100"

CLASS_COLOURS = "\n".join(f".c{c} {{ background: {colour}{TINT} }}" for c, colour in enumerate(COLOURS))

STYLE = f"""
i {{ font-style: normal; padding: .1rem .4rem; border-radius: .2rem }}
.legend {{ display: inline-block; margin: 0 1.5rem .5rem 0 }}
pre span {{ border-radius: .15rem; padding: .1rem 0 }}
pre span:hover {{ outline: 1px solid }}
.part {{ padding: .1rem .13em; margin: 0 1px }}
{CLASS_COLOURS}
.cu, .ku {{ color: #888 }}
.legend .k1, #selection:checked ~ pre .k1 {{ background: {KEPT}{TINT} }}
.legend .k0, #selection:checked ~ pre .k0 {{ background: #8882 }}
#selection:checked ~ pre .ku {{ background: none }}
"""

BY_CLASS = '<input type="radio" name="colour" id="class" checked><label class="legend" for="class"> by class: '
BY_CLASS += " ".join(f'<i class="c{c}">{name}</i>' for c, name in enumerate(CLASSES))
BY_CLASS += ' <i class="cu">no prediction</i></label>'

BY_SELECTION = (
    '<input type="radio" name="colour" id="selection"><label class="legend" for="selection"> by selection: '
    '<i class="k1">kept</i> <i class="k0">not kept</i> <i class="ku">no prediction</i></label>'
)
