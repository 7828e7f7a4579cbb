/// The page's style. The palette is Okabe and Ito's (2008), which people with any colour vision tell apart; brighter in the dark.
enum PageStyle {
    static let text = """
        :root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#5b6570;--grid:#e6e9ec;--axis:#9aa4ae;--card:#f6f8fa;
        --c1:#0072b2;--c2:#d55e00;--c3:#009e73;--c4:#aa4499;--c5:#c8102e;--c6:#8a8f98;--warn:#fff3cd;--warnink:#664d03}
        @media (prefers-color-scheme:dark){:root{--paper:#0f1318;--ink:#e6e9ed;--soft:#9aa5b1;--grid:#232a32;--axis:#56616c;--card:#171d24;
        --c1:#56b4e9;--c2:#e69f00;--c3:#2ec49a;--c4:#e08cc6;--c5:#ff6b7a;--c6:#8a94a0;--warn:#3a2f0b;--warnink:#ffe08a}}
        body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
        main{max-width:960px;margin:0 auto;padding:24px 20px 64px}
        h1{font-size:22px;margin:0 0 16px}h2{font-size:18px;margin:40px 0 12px}h3{font-size:15px;margin:0;display:inline-block}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(135px,1fr));gap:10px;margin:0 0 20px}
        .tiles div{background:var(--card);border-radius:8px;padding:10px 14px}.tiles b{font-size:22px;font-variant-numeric:tabular-nums}
        .tiles i{font-style:normal;color:var(--soft)}.tiles span{display:block;color:var(--soft);font-size:13px}
        table{border-collapse:collapse;width:100%;margin:0 0 20px;font-variant-numeric:tabular-nums;font-size:14px}
        th{font-weight:600;color:var(--soft);text-align:right;padding:4px 8px;border-bottom:1px solid var(--axis)}
        td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--grid);overflow-wrap:anywhere}
        th:first-child,td:first-child{text-align:left}
        figure{margin:0 0 28px;padding:0}figcaption{display:flex;flex-wrap:wrap;gap:4px 18px;align-items:baseline;margin-bottom:4px}
        svg{display:block;width:100%;height:auto}
        .legend{display:flex;flex-wrap:wrap;gap:2px 14px;color:var(--soft);font-size:13px}
        .legend span{display:inline-flex;align-items:center;gap:5px}svg.key{width:16px;height:12px;flex:none}
        .note{color:var(--soft);font-size:13px;margin:2px 0 0}
        .warning{background:var(--warn);color:var(--warnink);border-radius:8px;padding:10px 14px}
        .grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--axis);stroke-width:1}
        .tick,.label,.limit-name{fill:var(--soft);font-size:12px}
        .limit-name{paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
        .limit{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}
        .f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}
        .s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}
        path{fill:none;stroke-width:1.4}.line{stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:6 4}
        circle{fill-opacity:.75}details{color:var(--soft)}summary{cursor:pointer;margin-bottom:8px}
        @media print{details{display:block}}
        """
}
