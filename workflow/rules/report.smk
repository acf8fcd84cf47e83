# The table and the page.
rule report:
    input:
        rules.train.input,
        rules.sample.input,
        rules.evaluate.input,
        config="<results>/config/report/report.yaml",
        changed="<results>/config/changed.json",
    output:
        page=report(
            "<results>/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"content": "the whole page"},
        ),
        tables=report(
            multiext(
                "<results>/tables/",
                "metrics.csv",
                "claims.csv",
                "curves.csv",
                "metrics.md",
                "metrics.tex",
                "metrics.json",
                "provenance.json",
            ),
            caption="../report/tables.rst",
            category="Tables",
        ),
        figures=report(
            directory("<results>/figures"),
            patterns=["{figure}.png", "{figure}.webp"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "<results>/logs/report/report.log",
    benchmark:
        "<results>/benchmarks/report/report.tsv"
    threads: PARAMS.threads.report
    resources:
        mem_mb=memory("report"),
        runtime=run_time("report"),
    params:
        results=lambda wildcards, output: str(Path(output.page).parent),
    shell:
        "holofusion report --config {input.config} --results {params.results} --out {output.page}"
        " --threads {threads} --log {log}"
