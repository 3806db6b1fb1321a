"""How a report looks: light and dark, wide and narrow, on a screen and on paper. No script, nothing from elsewhere."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--dim:#60646c;--line:#e0e1e6;--back:#f9f9fb;--card:#fff;--accent:#3e63dd;
--band:#3e63dd2b;--good:#1a7f4b;--good-fill:#8ecea8;--bad:#c62a2f;--bad-fill:#e5484d;--unsure:#8f6200;--unsure-fill:#f0b429}
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--dim:#a5abb3;--line:#303438;--back:#111113;--card:#18191b;
--accent:#9eb1ff;--band:#9eb1ff2e;--good:#5bd08f;--good-fill:#2f7a52;--bad:#ff9592;--bad-fill:#e5484d;
--unsure:#f5c74d;--unsure-fill:#c98a00}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:66rem;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1rem;margin:0 0 1.25rem}
h1{font-size:1.6rem;line-height:1.2;margin:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:0 0 .25rem}
h3{font-size:.95rem;margin:0}.after{margin-top:1rem}
p{margin:.25rem 0;overflow-wrap:anywhere}header p{flex-basis:100%;margin:0}
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.1rem 1.25rem;margin:0 0 1rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11.5rem,1fr));gap:1rem;margin:0 0 1rem}
.tile{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:.9rem 1.1rem}
.tile b{display:block;font-size:1.45rem;line-height:1.25;font-weight:650;overflow-wrap:anywhere}
.tile span{color:var(--dim);font-size:.85rem}
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.unsure{color:var(--unsure)}
.pill{font-size:.8rem;font-weight:700;letter-spacing:.04em;text-transform:uppercase;border:1.5px solid currentColor;
border-radius:1rem;padding:.05rem .65rem;white-space:nowrap}
figure{margin:.75rem 0 0}figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem}
.plot{display:grid;grid-template-columns:3.6rem 1fr;gap:.1rem .5rem;margin-top:.3rem;font-size:.75rem;color:var(--dim)}
.plot .y{display:flex;flex-direction:column;justify-content:space-between;text-align:right;line-height:1}
.plot .x{grid-column:2;display:flex;justify-content:space-between}
svg{display:block;width:100%;overflow:visible}svg *{vector-effect:non-scaling-stroke}
.strip{height:1.9rem}.bars{height:4.5rem}.line{height:7rem}.when{height:.5rem;min-width:7rem;margin:.4rem 0}
.frame{stroke:var(--line);fill:none}.track{fill:var(--line)}
.f-good{fill:var(--good-fill)}.f-bad{fill:var(--bad-fill)}.f-unsure{fill:var(--unsure-fill)}.f-none{fill:var(--line)}
.trend{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}.band{fill:var(--band)}
.dot{fill:none;stroke:var(--accent);stroke-width:4;stroke-linecap:round}.dot.worse{stroke:var(--bad-fill);stroke-width:9}
.many{display:grid;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr));gap:.25rem 1.75rem}
.key{display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.6rem 0 0;font-size:.8rem;color:var(--dim)}
.key i{display:inline-block;width:.7rem;height:.7rem;border-radius:.15rem;margin-right:.35rem}
.key-good{background:var(--good-fill)}.key-bad{background:var(--bad-fill)}.key-unsure{background:var(--unsure-fill)}
.key-none{background:var(--line)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.5rem 0 0}
th,td{text-align:left;padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}th{font-weight:500;color:var(--dim);font-size:.8rem}
td{overflow-wrap:break-word;max-width:24rem}
.n{text-align:right}td.n,.whole{white-space:nowrap}
.incident{border-top:1px solid var(--line);padding:.7rem 0}.incident:last-child{padding-bottom:0}
ul{margin:.25rem 0;padding-left:1.1rem;color:var(--dim)}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,monospace;background:var(--back);border:1px solid var(--line);
border-radius:.3rem;padding:.05rem .35rem;overflow-wrap:anywhere}
footer{color:var(--dim);font-size:.85rem}
@media print{body{background:#fff;max-width:none;padding:0}section,.tile{break-inside:avoid}}
"""
