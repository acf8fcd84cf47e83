# Scores, from views and camera files alone.
rule step_evaluate:
    input:
        config=config_of("evaluate"),
        data=output_of("prepare"),
        views=views_of,
        # scored first; not `ancient`: when the floor is scored again, Snakemake 9.27 then overlooks every other reason
        floor=floor,
    output:
        output_of("evaluate"),
    log:
        log_of("evaluate"),
    benchmark:
        benchmark_of("evaluate")
    threads: threads_of("evaluate")
    resources:
        mem_mb=memory("evaluate"),
        runtime=run_time("evaluate"),
        gpu=1,
    params:
        views=options("views", folder=True),
    shell:
        "{HOLOFUSION} evaluate --config {input.config:q} --data {input.data:q} {params.views} --out"
        " {output:q} --threads {threads} --log {log:q}"


rule step_curve:
    input:
        config=config_of("curve"),
        data=output_of("prepare"),
        model=weights,
        floor=floor,
    output:
        output_of("curve"),
    log:
        log_of("curve"),
    benchmark:
        benchmark_of("curve")
    threads: threads_of("curve")
    resources:
        mem_mb=memory("curve"),
        runtime=run_time("curve"),
        gpu=1,
    params:
        model=options("model", folder=True),
    shell:
        "{HOLOFUSION} curve --config {input.config:q} --data {input.data:q} {params.model} --out"
        " {output:q} --threads {threads} --log {log:q}"


rule step_memorisation:
    input:
        config=config_of("memorisation"),
        codes=codes,
        samples=lambda wildcards: samples_of(run_of(wildcards).name),
    output:
        output_of("memorisation"),
    log:
        log_of("memorisation"),
    benchmark:
        benchmark_of("memorisation")
    threads: threads_of("memorisation")
    resources:
        mem_mb=memory("memorisation"),
        runtime=run_time("memorisation"),
    params:
        folders=options("codes", "samples", folder=True),
    shell:
        "{HOLOFUSION} memorisation --config {input.config:q} {params.folders} --out {output:q}"
        " --threads {threads} --log {log:q}"


rule step_ladder:
    input:
        config=config_of("ladder"),
        data=output_of("prepare"),
        reconstructions=reconstructions,
        codes=codes,
        model=weights,
        coarse=lambda wildcards: samples_of(run_of(wildcards).coarse.name),
        fused=lambda wildcards: samples_of(run_of(wildcards).name),
        floor=floor,
    output:
        output_of("ladder"),
    log:
        log_of("ladder"),
    benchmark:
        benchmark_of("ladder")
    threads: threads_of("ladder")
    resources:
        mem_mb=memory("ladder"),
        runtime=run_time("ladder"),
        gpu=1,
    params:
        folders=options("codes", "model", "coarse", "fused", folder=True),
    shell:
        "{HOLOFUSION} ladder --config {input.config:q} --data {input.data:q} --reconstructions"
        " {input.reconstructions:q} {params.folders} --out {output:q} --threads {threads} --log {log:q}"


rule step_consistency:
    input:
        config=config_of("consistency"),
        data=output_of("prepare"),
        views=views_of,
    output:
        output_of("consistency"),
    log:
        log_of("consistency"),
    benchmark:
        benchmark_of("consistency")
    threads: threads_of("consistency")
    resources:
        mem_mb=memory("consistency"),
        runtime=run_time("consistency"),
        gpu=1,
    params:
        views=options("views", folder=True),
    shell:
        "{HOLOFUSION} consistency --config {input.config:q} --data {input.data:q} {params.views} --out"
        " {output:q} --threads {threads} --log {log:q}"


# Real images in the place of generated ones: the floor and the ceilings of the table.
rule step_reference:
    input:
        config=config_of("reference"),
        data=output_of("prepare"),
        other=other_data,
        floor=floor,
    output:
        output_of("reference"),
    log:
        log_of("reference"),
    benchmark:
        benchmark_of("reference")
    threads: threads_of("reference")
    resources:
        mem_mb=memory("reference"),
        runtime=run_time("reference"),
        gpu=1,
    params:
        other=options("other"),
    shell:
        "{HOLOFUSION} reference --config {input.config:q} --data {input.data:q} {params.other} --out"
        " {output:q} --threads {threads} --log {log:q}"


# Surfaces: what they consist of, how they look beside the field's pictures, and how they compare with the true ones where
# these are known (embedded objects).
rule step_geometry:
    input:
        config=config_of("geometry"),
        data=output_of("prepare"),
        dataset=true_surfaces,
        views=views_of,
        meshes=meshes_of,
        floor=floor,
    output:
        output_of("geometry"),
    log:
        log_of("geometry"),
    benchmark:
        benchmark_of("geometry")
    threads: threads_of("geometry")
    resources:
        mem_mb=memory("geometry"),
        runtime=run_time("geometry"),
        gpu=1,
    params:
        folders=options("meshes", "views", "dataset", folder=True),
    shell:
        "{HOLOFUSION} geometry --config {input.config:q} --data {input.data:q} {params.folders} --out"
        " {output:q} --threads {threads} --log {log:q}"


rule step_geometry_floor:
    input:
        config=config_of("geometry_floor"),
        data=output_of("prepare"),
        dataset=true_surfaces,
    output:
        output_of("geometry_floor"),
    log:
        log_of("geometry_floor"),
    benchmark:
        benchmark_of("geometry_floor")
    wildcard_constraints:
        real=FLOOR,
    threads: threads_of("geometry_floor")
    resources:
        mem_mb=memory("geometry_floor"),
        runtime=run_time("geometry_floor"),
    params:
        dataset=options("dataset", folder=True),
    shell:
        "{HOLOFUSION} geometry_floor --config {input.config:q} --data {input.data:q} {params.dataset}"
        " --out {output:q} --threads {threads} --log {log:q}"


rule evaluate:
    input:
        [
            made(step)
            for step in (
                "evaluate",
                "reference",
                "consistency",
                "geometry",
                "geometry_floor",
                "curve",
                "memorisation",
                "ladder",
            )
        ],
