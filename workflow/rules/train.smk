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


# Objects are reconstructed side by side. Killed, both of these go on with the objects that are missing.
rule step_reconstruct:
    input:
        config=config_of("reconstruct"),
        data=output_of("prepare"),
    output:
        directory(output_of("reconstruct")),
    log:
        log_of("reconstruct"),
    benchmark:
        benchmark_of("reconstruct")
    priority: 1
    threads: threads_of("reconstruct")
    resources:
        mem_mb=memory("reconstruct"),
        runtime=run_time("reconstruct"),
    shell:
        "{HOLOFUSION} reconstruct --config {input.config:q} --data {input.data:q} --out {output:q}"
        " --threads {threads} --log {log:q}"


rule step_encode:
    input:
        config=config_of("encode"),
        data=output_of("prepare"),
        reconstructions=output_of("reconstruct"),
    output:
        output_of("encode"),
    log:
        log_of("encode"),
    benchmark:
        benchmark_of("encode")
    priority: 1
    threads: threads_of("encode")
    resources:
        mem_mb=memory("encode"),
        runtime=run_time("encode"),
        gpu=1,
    params:
        out=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "{HOLOFUSION} encode --config {input.config:q} --data {input.data:q} --reconstructions"
        " {input.reconstructions:q} --out {params.out:q} --threads {threads} --log {log:q}"


rule step_train:
    input:
        config=config_of("train"),
        data=output_of("prepare"),
        warmup=warmup,
        codes=codes,
        base=base,
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
        start=options("warmup", "codes", "base", folder=True),
        out=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "{HOLOFUSION} train --config {input.config:q} --data {input.data:q} {params.start} --processes"
        " {resources.gpu} --nodes {resources.nodes} --out {params.out:q} --threads {threads} --log {log:q}"


rule train:
    input:
        made("train"),
