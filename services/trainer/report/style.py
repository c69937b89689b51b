"""The style sheet of the page: light and dark, screen, phone and paper."""

CSS = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1c1e21; --soft: #5d6167; --rule: #deded8; --panel: #f4f4ef;
  --accent: #1f5fa8; --second: #7a5195; --warn: #a8431a; --good: #2c6e49; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --ink: #e7e7e3; --soft: #a0a4a9; --rule: #34383d;
  --panel: #1c1f23; --accent: #82b4ef; --second: #c9a3e0; --warn: #f0a077; --good: #86c9a2; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3rem; }
h1, h2 { font-family: "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, serif; font-weight: 600;
  line-height: 1.2; }
h1 { font-size: 2.3rem; margin: .2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.45rem; margin: 0 0 .4rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
p { max-width: 44rem; margin: 0 0 1rem; }
.kind { color: var(--soft); font-size: .85rem; letter-spacing: .08em; text-transform: uppercase; margin: 0; }
.lead, .look, .missing, footer { color: var(--soft); }
.look { font-size: .92rem; }
.missing { font-style: italic; margin: 0; }
section { border-bottom: 1px solid var(--rule); padding: 2rem 0 2.25rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: 1px;
  margin: 1.75rem 0 .5rem; background: var(--rule); border: 1px solid var(--rule); }
.tiles div { background: var(--paper); padding: 1rem 1.1rem; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: .15rem 0 0; font-size: 1.5rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tiles small { display: block; color: var(--soft); font-size: .85rem; line-height: 1.4; margin-top: .15rem; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.5rem; margin: 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 1.75rem 2.5rem; }
.pair { margin-bottom: 2rem; }
figure { margin: 0; }
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .35rem; overflow-wrap: anywhere; }
svg { display: block; width: 100%; max-width: 27rem; height: auto; overflow: visible; }
svg text { fill: var(--ink); font-size: 11.5px; font-family: inherit; font-variant-numeric: tabular-nums; }
svg .tick, svg .axis { fill: var(--soft); }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; } svg .warn { fill: var(--warn); }
svg .mark { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; font-weight: 600; }
.grid { stroke: var(--rule); stroke-width: .75; } .base { stroke: var(--soft); stroke-width: 1; }
.guide { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.target { stroke: var(--warn); stroke-width: 1.4; stroke-dasharray: 6 4; }
.line { fill: none; stroke: var(--accent); stroke-width: 1.8; stroke-linejoin: round; }
.line.second { stroke: var(--second); stroke-dasharray: 5 3; } .faint { opacity: .45; }
.dot { fill: var(--accent); stroke: var(--paper); stroke-width: 1; } .dot.second { fill: var(--second); }
.whisker { stroke: var(--accent); stroke-width: 1.2; opacity: .75; } .strong { stroke-width: 2; opacity: 1; }
.bar.yes { fill: var(--warn); } .bar.no { fill: var(--accent); opacity: .7; }
.wide { overflow-x: auto; margin: 0 0 1.25rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; min-width: 60%; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .38rem 1.1rem .38rem 0; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; border-bottom-color: var(--soft); white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 6rem; }
.number { text-align: right; white-space: nowrap; } td:last-child, th:last-child { padding-right: 0; }
ul { padding-left: 1.1rem; margin: 0 0 1rem; max-width: 46rem; } li { margin: .3rem 0; overflow-wrap: anywhere; }
.sides { list-style: none; padding: 0; } .sides li { padding: .7rem 0 .7rem 1rem; border-left: 3px solid var(--good);
  margin-bottom: .6rem; } .sides .off { border-left-color: var(--warn); }
.sides strong { display: block; }
details { margin-top: 1rem; } summary { cursor: pointer; color: var(--accent); margin-bottom: .8rem; }
.key { display: inline-block; width: 1.6rem; border-top: 2px solid var(--accent); vertical-align: .28em;
  margin-right: .4rem; } .key.second { border-top: 2px dashed var(--second); } .key.faint { opacity: .45; }
.keys .item { display: inline-block; margin-right: 1.4rem; }
footer { padding-top: 1.25rem; padding-bottom: 3rem; font-size: .88rem; }
@media (max-width: 34rem) { body { font-size: 15px; } header { padding-top: 1.75rem; } h1 { font-size: 1.8rem; }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: .6rem; } }
@page { margin: 16mm; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc; --panel: #fff;
    --accent: #1f5fa8; --second: #7a5195; --warn: #a8431a; --good: #2c6e49; }
  body { font-size: 10.5pt; } main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; } figure, tr, p, .sides li, .tiles { break-inside: avoid; }
  details::details-content { content-visibility: visible; }
  h2, h3, .look { break-after: avoid; } .wide { overflow: visible; } section { padding: 1.2rem 0; }
  .charts { grid-template-columns: repeat(2, 1fr); } svg { max-width: 100%; } }
"""
