package page

// sheet is the one style sheet. Classes: g good, w to be looked at, b bad, m muted; in pictures a and c are the two
// colours of what is drawn.
const sheet markup = `:root{--bg:#faf9f6;--ink:#1d2023;--mute:#666b73;--rule:#e3e0d8;--good:#1a7d4c;--warn:#9a5b00;--bad:#bf2d2d;--a:#1a7d4c;--c:#c77d1e;--soft:#f1efe9}
@media(prefers-color-scheme:dark){:root{--bg:#131518;--ink:#e8e6e1;--mute:#9aa0a8;--rule:#2a2e34;--good:#4fc48c;--warn:#efb44b;--bad:#ff7d75;--a:#4fc48c;--c:#efa44a;--soft:#1b1e22}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main{max-width:36rem;margin:0 auto;padding:1.25rem 1.1rem 2.5rem}
header{padding:.5rem 0 1.4rem}
.net{display:flex;gap:1rem;justify-content:space-between;color:var(--mute);font-size:.86rem;margin:0 0 1.6rem}
h1{font-size:2.3rem;line-height:1.12;letter-spacing:-.025em;font-weight:650;margin:0 0 .5rem}
h1 i{display:inline-block;width:.5em;height:.5em;border-radius:50%;background:currentColor;margin-right:.35em;vertical-align:.1em}
h1 span{color:var(--ink)}
.big{font-size:1.16rem;margin:0}
.m,small{color:var(--mute)}
small{font-size:.86rem}
.g{color:var(--good)}.w{color:var(--warn)}.b{color:var(--bad)}
section{border-top:1px solid var(--rule);padding:1.15rem 0 1.3rem}
h2{font-size:1.02rem;font-weight:650;margin:0 0 .7rem;display:flex;justify-content:space-between;align-items:baseline;gap:1rem}
section>h2:last-child{margin:0}
h2 small{font-weight:400;text-align:right}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(7.2rem,1fr));gap:.75rem 1rem;margin:0}
dl>div{min-width:0}
dt{color:var(--mute);font-size:.8rem}
.net :last-child:not(:first-child){text-align:right}
dd{margin:0;font-size:1.12rem;font-weight:550;overflow-wrap:anywhere;line-height:1.35}
p{margin:.5rem 0 0}
ul{list-style:none;margin:0;padding:0}
li{padding:.55rem 0;border-top:1px solid var(--rule);overflow-wrap:anywhere}
li:first-child{border-top:0;padding-top:0}
li:last-child{padding-bottom:0}
li b{font-weight:600}
.n{border-left:3px solid currentColor;padding:.1rem 0 .1rem .8rem;margin:.85rem 0 0}
.n:first-of-type{margin-top:0}
.n b{display:block;font-weight:600}
.n span{color:var(--ink);display:block;font-size:.95rem}
.n em{font-style:normal;color:var(--mute);display:block;font-size:.9rem}
.r{display:flex;justify-content:space-between;gap:1rem}
.r>:last-child{text-align:right;flex:none}
.t{font-size:.9rem;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin:.9rem 0 0;overflow:visible}
svg text{font-size:9px;fill:var(--mute)}
.la{fill:none;stroke:var(--a);stroke-width:1.8;stroke-linejoin:round}
.sa{stroke:var(--a)}.sc{stroke:var(--c)}.fc{fill:var(--c);fill-opacity:.22}
.gr{stroke:var(--rule);stroke-width:1}
.l2{fill:var(--c);fill-opacity:.13}.l1{fill:var(--c);fill-opacity:.28}.l0{fill:var(--bad);fill-opacity:.3}
.key{display:flex;gap:1rem;flex-wrap:wrap;font-size:.82rem;color:var(--mute);margin:.35rem 0 0}
.key i{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin-right:.35em;background:var(--a)}
.key .k2 i{background:var(--c)}
table{width:100%;border-collapse:collapse;margin:.9rem 0 0;font-size:.9rem}
th{font-weight:400;color:var(--mute);text-align:right;font-size:.8rem;padding:0 0 .25rem .5rem}
td{text-align:right;padding:.26rem 0 .26rem .5rem;border-top:1px solid var(--rule);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
h3{font-size:.8rem;font-weight:400;color:var(--mute);margin:1.1rem 0 .5rem}
details summary{cursor:pointer;color:var(--mute);font-size:.9rem;padding:.6rem 0 .1rem}
a{color:inherit;text-underline-offset:.2em}
footer{border-top:1px solid var(--rule);padding-top:1.1rem;color:var(--mute);font-size:.86rem}
footer p{margin:.2rem 0 0;overflow-wrap:anywhere}
:focus-visible{outline:2px solid var(--good);outline-offset:2px}
@media(max-width:22rem){h1{font-size:1.95rem}main{padding-left:.95rem;padding-right:.95rem}}
`
