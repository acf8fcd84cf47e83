# Embedded objects (made only where no photographs are given), or photographs, and their preparation.
rule step_dataset:
    input:
        config=config_of("dataset"),
    output:
        directory(output_of("dataset")),
    log:
        log_of("dataset"),
    benchmark:
        benchmark_of("dataset")
    threads: threads_of("dataset")
    resources:
        mem_mb=memory("dataset"),
        runtime=run_time("dataset"),
    params:
        root=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "{HOLOFUSION} dataset --config {input.config:q} --out {params.root:q} --threads {threads} --log"
        " {log:q}"


# Fetched only where download.release names what: where Snakemake itself runs, which has a network.
rule step_download:
    input:
        config=config_of("download"),
    output:
        output_of("download"),
    log:
        log_of("download"),
    localrule: True
    params:
        root=str(PHOTOGRAPHS),
    shell:
        "{HOLOFUSION} download --config {input.config:q} --root {params.root:q} --out {output:q} --log"
        " {log:q}"


rule step_prepare:
    input:
        config=config_of("prepare"),
        dataset=[] if PHOTOGRAPHS else output_of("dataset"),
        downloaded=output_of("download") if PARAMS.download.release else [],
    output:
        directory(output_of("prepare")),
    log:
        log_of("prepare"),
    benchmark:
        benchmark_of("prepare")
    threads: threads_of("prepare")
    resources:
        mem_mb=memory("prepare"),
        runtime=run_time("prepare"),
    params:
        root=lambda wildcards, input: str(PHOTOGRAPHS or Path(input.dataset).parent),
    shell:
        "{HOLOFUSION} prepare --config {input.config:q} --dataset {params.root:q} --out {output:q}"
        " --threads {threads} --log {log:q}"


rule data:
    input:
        made("prepare"),
