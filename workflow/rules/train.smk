# Training. Declared outputs are deleted before a job starts and after it fails; so only the finished weights are declared.
# The saved state and log.jsonl lie beside them, undeclared: a killed training goes on from there.
rule step_warmup:
    input:
        config=config_of("warmup"),
        data=output_of("prepare"),
    output:
        output_of("warmup"),
    log:
        log_of("warmup"),
    benchmark:
        benchmark_of("warmup")
    priority: 1  # trainings take all cores: behind them, the small jobs share these in pairs
    threads: threads_of("warmup")
    resources:
        mem_mb=memory("warmup"),
        runtime=run_time("warmup"),
        gpu=1,
        nodes=1,
    params:
        out=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "{HOLOFUSION} warmup --config {input.config:q} --data {input.data:q} --processes {resources.gpu}"
        " --nodes {resources.nodes} --out {params.out:q} --threads {threads} --log {log:q}"


rule step_train:
    input:
        config=config_of("train"),
        data=output_of("prepare"),
        warmup=warmup,
    output:
        output_of("train"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    priority: 1
    threads: threads_of("train")
    resources:
        mem_mb=memory("train"),
        runtime=run_time("train"),
        gpu=1,
        nodes=1,
    params:
        warmup=options("warmup", folder=True),
        out=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "{HOLOFUSION} train --config {input.config:q} --data {input.data:q} {params.warmup} --processes"
        " {resources.gpu} --nodes {resources.nodes} --out {params.out:q} --threads {threads} --log {log:q}"


rule train:
    input:
        made("train"),
