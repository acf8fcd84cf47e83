# Scenes, their super-resolved views, and views, in shards. Scenes are made from noise, or from those of another row.
rule step_sample:
    input:
        unpack(sources),
        config=config_of("sample"),
        model=weights,
    output:
        directory(output_of("sample")),
    log:
        log_of("sample"),
    benchmark:
        benchmark_of("sample")
    threads: threads_of("sample")
    resources:
        mem_mb=memory("sample"),
        runtime=run_time("sample"),
        gpu=1,
    params:
        model=options("model", folder=True),
        sources=options("coarse", "hypotheses"),
    shell:
        "{HOLOFUSION} sample --config {input.config:q} {params.model} {params.sources} --shard"
        " {wildcards.shard} --out {output:q} --threads {threads} --log {log:q}"


rule step_hypotheses:
    input:
        config=config_of("hypotheses"),
        data=output_of("prepare"),
        model=weights,
        coarse=coarse_scenes,
    output:
        directory(output_of("hypotheses")),
    log:
        log_of("hypotheses"),
    benchmark:
        benchmark_of("hypotheses")
    threads: threads_of("hypotheses")
    resources:
        mem_mb=memory("hypotheses"),
        runtime=run_time("hypotheses"),
        gpu=1,
    params:
        model=options("model", folder=True),
    shell:
        "{HOLOFUSION} hypotheses --config {input.config:q} --data {input.data:q} {params.model} --coarse"
        " {input.coarse:q} --shard {wildcards.shard} --out {output:q} --threads {threads} --log {log:q}"


rule step_render:
    input:
        config=config_of("render"),
        data=output_of("prepare"),
        samples=output_of("sample"),
    output:
        directory(output_of("render")),
    log:
        log_of("render"),
    benchmark:
        benchmark_of("render")
    threads: threads_of("render")
    resources:
        mem_mb=memory("render"),
        runtime=run_time("render"),
        gpu=1,
    shell:
        "{HOLOFUSION} render --config {input.config:q} --data {input.data:q} --samples {input.samples:q}"
        " --out {output:q} --threads {threads} --log {log:q}"


rule step_mesh:
    input:
        config=config_of("mesh"),
        data=output_of("prepare"),
        samples=output_of("sample"),
    output:
        directory(output_of("mesh")),
    log:
        log_of("mesh"),
    benchmark:
        benchmark_of("mesh")
    threads: threads_of("mesh")
    resources:
        mem_mb=memory("mesh"),
        runtime=run_time("mesh"),
        gpu=1,
    shell:
        "{HOLOFUSION} mesh --config {input.config:q} --data {input.data:q} --samples {input.samples:q}"
        " --out {output:q} --threads {threads} --log {log:q}"


ruleorder: step_import > step_render


rule step_import:
    input:
        config=config_of("import"),
        data=output_of("prepare"),
        pictures=lambda wildcards: f"{PARAMS.external.folder}/{wildcards.category}",
    output:
        directory(output_of("import")),
    log:
        log_of("import"),
    benchmark:
        benchmark_of("import")
    wildcard_constraints:
        method="|".join(ELSEWHERE),
    threads: threads_of("import")
    resources:
        mem_mb=memory("import"),
        runtime=run_time("import"),
    shell:
        "{HOLOFUSION} import --config {input.config:q} --data {input.data:q} --pictures"
        " {input.pictures:q} --out {output:q} --threads {threads} --log {log:q}"


rule sample:
    input:
        made("render"),
        made("import"),
