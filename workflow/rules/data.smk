# Embedded objects (made only where no photographs are given), and preparation.
rule dataset:
    input:
        config="<results>/config/dataset/{category}.yaml",
    output:
        directory("<results>/dataset/{category}"),
    log:
        "<results>/logs/dataset/{category}.log",
    benchmark:
        "<results>/benchmarks/dataset/{category}.tsv"
    threads: PARAMS.threads.dataset
    resources:
        mem_mb=memory("dataset"),
        runtime=run_time("dataset"),
    params:
        root=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "holofusion dataset --config {input.config} --out {params.root} --threads {threads} --log {log}"


# Photographs, fetched only where download.release names what: where Snakemake itself runs, which has a network.
rule download:
    input:
        config="<results>/config/download/{category}.yaml",
    output:
        "<results>/download/{category}.json",
    log:
        "<results>/logs/download/{category}.log",
    localrule: True
    params:
        root=str(PHOTOGRAPHS),
    shell:
        "holofusion data download --config {input.config} --root {params.root:q} --out {output} --log {log}"


rule prepare:
    input:
        config="<results>/config/prepare/{category}.yaml",
        dataset=[] if PHOTOGRAPHS else "<results>/dataset/{category}",
        downloaded=(
            "<results>/download/{category}.json" if PARAMS.download.release else []
        ),
    output:
        directory("<results>/data/{category}"),
    log:
        "<results>/logs/prepare/{category}.log",
    benchmark:
        "<results>/benchmarks/prepare/{category}.tsv"
    threads: PARAMS.threads.prepare
    resources:
        mem_mb=memory("prepare"),
        runtime=run_time("prepare"),
    params:
        root=lambda wildcards, input: str(PHOTOGRAPHS or Path(input.dataset).parent),
    shell:
        "holofusion prepare --config {input.config} --dataset {params.root:q} --out {output} --threads {threads} --log {log}"


rule data:
    input:
        expand("<results>/data/{category}", category=categories_of(PARAMS)),
