#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is written must be so.
load ../lib/common

@test "every message id has an entry in docs/troubleshooting.md, and no entry is of an id that is gone" {
    local used written
    used=$(grep -rhoE '\b(note|(sampler_)?tool_failed|die ([0-9]+|"[^"]*")) [a-z0-9]+(-[a-z0-9.]+)+ ' "$ROOT/scripts" | awk '{ print $NF }' | sort -u)
    written=$(grep -oE '\*\*[a-z0-9]+(-[a-z0-9.]+)+\*\*' "$ROOT/docs/troubleshooting.md" | tr -d '*' | sort -u)
    (($(wc -l <<<"$used") > 20))
    diff -u <(printf '%s\n' "$used") <(printf '%s\n' "$written")
}

@test "every profile target has its page" {
    local script
    for script in "$ROOT"/scripts/profile-*; do
        [[ -s $ROOT/docs/targets/${script##*/}.md ]] || fail "${script##*/}"
    done
}

@test "links between the documents lead somewhere" {
    local file link
    while IFS= read -r file; do
        while IFS= read -r link; do
            [[ -e $ROOT/${file%/*}/$link || -e ${ROOT}/$link ]] || fail "$file: $link"
        done < <(grep -oE '\]\([^)#]+\)' "$ROOT/$file" | sed 's/^](//; s/)$//' | grep -vE '^https?://')
    done < <(cd "$ROOT" && git ls-files -co --exclude-standard -- '*.md')
}

@test "nothing names a machine's paths" {
    run -1 git -C "$ROOT" grep -nE '/root/[a-z.]|/home/[a-z]+/' -- ':!tests/scripts/docs.bats'
}
