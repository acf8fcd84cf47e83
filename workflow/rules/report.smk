# The table and the page.
rule step_report:
    input:
        rules.train.input,
        rules.sample.input,
        rules.evaluate.input,
        config=config_of("report"),
        changed="<results>/config/changed.json",
    output:
        page=report(
            "<results>/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"content": "the whole page"},
        ),
        tables=report(
            output_of("report"),
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
        log_of("report"),
    benchmark:
        benchmark_of("report")
    threads: threads_of("report")
    resources:
        mem_mb=memory("report"),
        runtime=run_time("report"),
    params:
        results=lambda wildcards, output: str(Path(output.page).parent),
    shell:
        "{HOLOFUSION} report --config {input.config:q} --results {params.results:q}"
        " --threads {threads} --log {log:q}"


rule report:
    input:
        rules.step_report.output,
