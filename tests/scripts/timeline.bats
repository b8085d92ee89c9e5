#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# scripts/plots/timeline.gp: samples.tsv in, one SVG out.
# shellcheck disable=SC2154 # run sets stderr
load ../lib/common

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    COLUMNS_ALL="t_s pid comm starttime_ticks state processes cpu_user_s cpu_system_s oncpu_s run_delay_s rss_kib pss_kib uss_kib"
    COLUMNS_ALL+=" io_read_bytes io_write_bytes io_rchar io_wchar threads fds"
}

# series N [COLUMN…]: samples.tsv of N rows a second apart, in which the process uses a quarter of a core, half of that in
# the system, waits as long again, has t times 64 MiB in RSS, half of it as PSS, writes 3 MiB/s, and has 5 threads and 17
# descriptors. Only the named columns (default: all).
series() {
    awk -v rows="$1" -v names="${2-$COLUMNS_ALL}" 'BEGIN {
        OFS = "\t"
        n = split(names, name, " ")
        print "# started: 1795519363306086053"
        for (i = 1; i <= n; i++)
            printf "%s%s", name[i], i < n ? OFS : "\n"
        for (t = 0; t < rows; t++)
            for (total = 0; total < 2; total++) {
                v["t_s"] = sprintf("%.6f", t)
                v["pid"] = total ? "total" : 4711
                v["comm"] = total ? "total" : "some name"
                v["cpu_user_s"] = t / 8; v["cpu_system_s"] = t / 8; v["oncpu_s"] = t / 4; v["run_delay_s"] = t / 4
                v["rss_kib"] = (total ? t : 1000 * t) * 65536
                v["pss_kib"] = t % 2 ? "n/a" : t * 32768; v["uss_kib"] = t % 2 ? "n/a" : t * 16384
                v["io_write_bytes"] = v["io_wchar"] = t * 3145728; v["io_read_bytes"] = v["io_rchar"] = 0
                v["threads"] = 5; v["fds"] = 17
                for (i = 1; i <= n; i++)
                    printf "%s%s", (name[i] in v) ? v[name[i]] : "n/a", i < n ? OFS : "\n"
            }
        print "# ended: duration"
    }' >samples.tsv
}

# draw [MORE]: gnuplot with samples.tsv; the picture in out.svg.
draw() {
    run -0 --separate-stderr gnuplot -e "samples='${samples-samples.tsv}'; out='out.svg'; title='${title-a run}'; ${1-}" \
        "$ROOT/scripts/plots/timeline.gp"
    equal "$stderr" ""
    python3 -c 'import sys, xml.dom.minidom as x; x.parse("out.svg")'
}

# texts: what is written in the picture, a line each.
texts() {
    python3 - <<'PYTHON'
import re
for text in re.findall(r"<text>(.*?)</text>", open("out.svg", encoding="utf-8").read(), re.S):
    print(re.sub(r"<[^>]*>", "", text).replace("\u00a0", " ").strip())
PYTHON
}

has_text() {
    texts | grep -Fxq -- "$1" || fail "not in the picture: $1"$'\n'"$(texts)"
}

curves() {
    python3 -c 'import re; print(len(re.findall("<title>timeline_plot_", open("out.svg").read())))'
}

# table: what timeline.awk makes of samples.tsv.
table() {
    awk -f "$ROOT/scripts/plots/timeline.awk" samples.tsv
}

@test "a known series is drawn in four panels with its axes, legends and title" {
    series 20
    draw
    for text in "a run" "19.0 s" "CPU (cores)" "memory (MiB)" threads "open files" "I/O (MiB/s)" "time since the sampler started (s)" \
        user system "waiting for a CPU" RSS PSS USS "open files (right)" "read calls" "write calls" "from storage" "to storage"; do
        has_text "$text"
    done
    equal "$(curves)" 12
    run ! has_text "not recorded"
}

@test "rates and sizes are those of the total rows" {
    series 20
    run -0 table
    equal "${lines[0]}" "# 20 0.000000 19.000000 0.250000 1216.000000 5.000000 17.000000 3.000000 1 1 1 1 1 1 1 1 1 1 1 1"
    equal "${lines[1]}" "0 0 NaN NaN NaN NaN NaN NaN NaN 0 5 17"
    equal "${lines[2]}" "0 1 0.125 0.25 0.25 0 3 0 3 64 5 17"
    equal "${lines[20]}" "18 19 0.125 0.25 0.25 0 3 0 3 1216 5 17"
    equal "${lines[30]}" "18 576 288" "the last reading of PSS"
}

@test "marks are lines through all panels, with their labels" {
    series 20
    printf 't_s\tlabel\n2.5\tpipeline begins\n2.9\tfirst <upsert> & more\n18.5\tlast chunk was embedded\n99\tnever\n' >marks.tsv
    draw "marks='marks.tsv'"
    has_text "pipeline begins"
    has_text "first &lt;upsert> &amp; more"
    has_text "last chunk was embedded"
    run ! has_text never
    # A path of each panel (gnuplot 5), or of each line (6), which moves to each line's beginning: 3 lines in 4 panels.
    equal "$(grep -o "stroke-dasharray='1.0,2.0' *d='[^']*'" out.svg | tr -cd M | wc -c)" 12
}

@test "an empty marks file is no mark" {
    series 3
    : >marks.tsv
    draw "marks='marks.tsv'"
}

@test "two rows are enough" {
    series 2
    draw
    has_text "1.0 s"
    equal "$(curves)" 12
}

@test "one row, and none, make a picture too" {
    series 1
    draw
    has_text "0.0 s"
    series 0
    draw
    equal "$(texts | grep -c 'not recorded')" 4
}

@test "a file without PSS has RSS alone" {
    series 5
    awk -F '\t' -v OFS='\t' '/^[0-9]/ { $12 = $13 = "n/a" } 1' samples.tsv >light.tsv
    samples=light.tsv draw
    has_text RSS
    run ! has_text PSS
    run ! has_text USS
    equal "$(curves)" 10
}

@test "a file without a column lacks that curve, and a panel without a curve says so" {
    series 5 "t_s pid cpu_user_s cpu_system_s threads io_rchar"
    draw
    has_text user
    has_text "read calls"
    equal "$(texts | grep -c 'not recorded')" 1
    equal "$(curves)" 5 "user, system, threads, read calls, and the invisible one of the empty panel"
}

@test "CPU time in ticks is drawn where the CPU clock is not known" {
    series 5 "t_s pid cpu_user_s cpu_system_s"
    run -0 table
    equal "${lines[2]}" "0 1 0.125 0.25 NaN NaN NaN NaN NaN NaN NaN NaN"
}

@test "a row that a kill cut off is left out" {
    series 5
    sed -i '$d' samples.tsv
    printf '5.000000\ttotal\ttotal\tn/a' >>samples.tsv
    run -0 table
    matches "${lines[0]}" '^# 5 0.000000 4.000000 '
    draw
}

@test "paths with spaces and quotes work" {
    series 3
    mkdir "it's a \"folder\" \$HOME"
    mv samples.tsv "it's a \"folder\" \$HOME/s.tsv"
    printf '1\there\n' >"it's a \"folder\" \$HOME/m.tsv"
    title="it''s \$HOME_of {a}" samples="it''s a \"folder\" \$HOME/s.tsv" \
        draw "marks='it''s a \"folder\" \$HOME/m.tsv'"
    has_text here
    has_text "it's \$HOME_of {a}"
}

@test "a long series stays small, and loses neither its peak nor what was used" {
    awk 'BEGIN {
        OFS = "\t"; print "t_s", "pid", "oncpu_s", "cpu_system_s", "cpu_user_s", "rss_kib"
        for (i = 0; i < 100003; i++)
            print i / 1000, "total", i / 1000, 0, i / 1000, (i == 54321 ? 1048576 : 1024)
    }' >samples.tsv
    run -0 table
    matches "${lines[0]}" '^# [0-9]+ 0.000000 100.002000 1.0000.. 1024.000000 '
    ((${#lines[@]} > 300 && ${#lines[@]} <= 602))
    equal "$(awk '/^[0-9]/ && $4 != "NaN" { s += $4 * ($2 - $1) } END { printf "%.0f", s }' <<<"$output")" 100
    draw
    (($(stat -c %s out.svg) < 300000))
}

@test "a file that cannot be read is an error that names it" {
    run ! gnuplot -e "samples='none.tsv'; out='out.svg'" "$ROOT/scripts/plots/timeline.gp"
    matches "$output" 'timeline.gp: cannot read none.tsv'
    run ! gnuplot "$ROOT/scripts/plots/timeline.gp"
    matches "$output" "samples='FILE' and out='FILE'"
}
