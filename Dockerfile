# docker build -t holofusion . && docker run -it -v "$PWD/results:/holofusion/results" holofusion make report
# Apptainer builds from it: apptainer build holofusion.sif docker-daemon://holofusion:latest
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /holofusion
COPY requirements.lock pyproject.toml README.md LICENSE Makefile ./
# the environment first: it changes less often than the code
RUN mkdir holofusion && touch holofusion/__init__.py && PIP_NO_CACHE_DIR=1 make .venv
COPY . .
ENV PATH=/holofusion/.venv/bin:$PATH
CMD ["holofusion", "--help"]
