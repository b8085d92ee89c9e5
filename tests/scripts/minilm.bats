#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The embedding stand-in with the real model, in the environment of scripts/env/minilm.txt (MINILM_ENV_PYTHON).
load ../lib/common
load ../lib/standin

setup() { : "${MINILM_ENV_PYTHON:?the Python of the minilm environment; scripts/test sets it}"; }
teardown() { end_started; }

# cosine VECTORS I J: of two of the vectors in an answer, to three decimals.
cosine() {
    jq -r --argjson i "$2" --argjson j "$3" '[.data[$i].embedding, .data[$j].embedding] | transpose
        | map(.[0] * .[1]) | add * 1000 | round / 1000' <<<"$1"
}

@test "the real model gives the similarities that its authors publish" {
    PYTHON=$MINILM_ENV_PYTHON start embeddings --model minilm --latency-ms 0
    local answer
    answer=$(curl -sf "$URL/v1/embeddings" --data '{"input": ["The weather is lovely today.", "It'"'"'s so sunny outside!",
        "He drove to the stadium."]}')
    equal "$(jq '[.data[].embedding | length] | unique[0]' <<<"$answer")" 384
    # https://sbert.net, quickstart: 0.6660, 0.1046, 0.1411.
    matches "$(cosine "$answer" 0 1)" '^0\.66[56]$'
    matches "$(cosine "$answer" 0 2)" '^0\.10[45]$'
    matches "$(cosine "$answer" 1 2)" '^0\.141$'
    equal "$(cosine "$answer" 0 0)" 1
}

@test "a text longer than the model reads, and one of signs alone, have vectors too" {
    PYTHON=$MINILM_ENV_PYTHON start embeddings --model minilm --latency-ms 0
    local answer long
    printf -v long 'word %.0s' {1..2000}
    answer=$(jq -n --arg long "$long" '{input: [$long, "   \n ", "\u0000 ☃"]}' | curl -sf "$URL/v1/embeddings" --data @-)
    equal "$(cosine "$answer" 0 0)$(cosine "$answer" 1 1)$(cosine "$answer" 2 2)" 111
}
