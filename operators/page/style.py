"""How every page looks. Colours are tints, so that they fit light and dark pages; wide tables scroll by themselves."""

TINT = "66"  # 40% of a colour behind text
PALETTE = ("#3f8fd2", "#d55e00", "#009e73", "#cc79a7", "#e0a100", "#7d63c9")  # told apart by the colour-blind

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; font-variant-numeric: tabular-nums; font-weight: normal }
tr > :nth-child(-n+2) { text-align: left }
tr:first-child { border-bottom: 1px solid #8888 }
.wide { overflow-x: auto; margin: .5rem 0 }
figure { margin: 0 }
svg { max-width: 100%; height: auto }
svg text { font-family: system-ui, sans-serif !important }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 15px/1.8 system-ui, sans-serif; tab-size: 4; unicode-bidi: isolate;
  border: 1px solid #8884; border-radius: .4rem; padding: .8rem }
"""
