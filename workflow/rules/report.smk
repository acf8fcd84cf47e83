# The table and the page.
rule report:
    input:
        rules.train.input,
        rules.sample.input,
        rules.evaluate.input,
        config="<results>/config/report/report.yaml",
    output:
        page="<results>/report.html",
        table="<results>/tables/metrics.csv",
        figures=directory("<results>/figures"),
    log:
        "<results>/logs/report/report.log",
    benchmark:
        "<results>/benchmarks/report/report.tsv"
    threads: PARAMS.threads.report
    resources:
        mem_mb=4000,
        runtime=30,
        gpu=0,
    params:
        results=lambda wildcards, output: str(Path(output.page).parent),
    shell:
        "holofusion report --config {input.config} --results {params.results} --out {output.page}"
        " --threads {threads} --log {log}"
