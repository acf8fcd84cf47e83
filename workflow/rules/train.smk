# Training. Declared outputs are deleted before a job starts and after it fails; so only the finished weights are declared.
# The saved state and log.jsonl lie beside them, undeclared: a killed training goes on from there.
rule warmup:
    input:
        config="<results>/config/warmup/{category}-s{seed}.yaml",
        data="<results>/data/{category}",
    output:
        multiext(
            "<results>/warmup/{category}-s{seed}/",
            "model.safetensors",
            "model.json",
            "provenance.json",
        ),
    log:
        "<results>/logs/warmup/{category}-s{seed}.log",
    benchmark:
        "<results>/benchmarks/warmup/{category}-s{seed}.tsv"
    priority: 1  # trainings take all cores: behind them, the small jobs share these in pairs
    threads: PARAMS.threads.warmup
    resources:
        mem_mb=memory("warmup"),
        runtime=run_time("warmup"),
        gpu=1,
        nodes=1,
    params:
        out=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "holofusion warmup --config {input.config} --data {input.data} --out {params.out}"
        " --processes {resources.gpu} --nodes {resources.nodes} --threads {threads} --log {log}"


rule train_run:
    input:
        config="<results>/config/train/{method}-{category}-s{seed}.yaml",
        data="<results>/data/{category}",
        warmup=warmup,
    output:
        multiext(
            "<results>/runs/{method}-{category}-s{seed}/",
            "model.safetensors",
            "model.json",
            "provenance.json",
        ),
    log:
        "<results>/logs/train/{method}-{category}-s{seed}.log",
    benchmark:
        "<results>/benchmarks/train/{method}-{category}-s{seed}.tsv"
    priority: 1
    threads: PARAMS.threads.train
    resources:
        mem_mb=memory("train"),
        runtime=run_time("train"),
        gpu=1,
        nodes=1,
    params:
        warmup=lambda wildcards, input: (
            f"--warmup {Path(input.warmup).parent}" if input.warmup else ""
        ),
        out=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "holofusion train --config {input.config} --data {input.data} {params.warmup} --out {params.out}"
        " --processes {resources.gpu} --nodes {resources.nodes} --threads {threads} --log {log}"


rule train:
    input:
        expand(
            "<results>/runs/{method}-{category}-s{seed}/model.safetensors",
            **(RUNS | TRAINED),
        ),
