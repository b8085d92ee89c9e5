# SPDX-License-Identifier: MIT
# Draws the `total` rows of samples.tsv (docs/formats/samples-tsv.md) over time, as one SVG:
# CPU and run-queue delay, memory, threads and descriptors, I/O.
#
#   gnuplot -e "samples='samples.tsv'; out='timeline.svg'; title='…'; marks='marks.tsv'" timeline.gp
#
# `marks` is optional: lines `t_s<TAB>label`, drawn as vertical lines through all panels.
# A quote in a path is doubled, as gnuplot wants it: samples='it''s/samples.tsv'.

if (!exists("samples") || !exists("out")) exit error "timeline.gp: samples='FILE' and out='FILE' must be set with gnuplot -e"
if (!exists("title")) title = ""
if (!exists("marks")) marks = ""

# A word for the shell, whatever is in it.
quoted(s) = "'" . escaped(s) . "'"
escaped(s) = (strstrt(s, "'") == 0 ? s : \
    s[1:strstrt(s, "'") - 1] . "'\\''" . escaped(s[strstrt(s, "'") + 1:strlen(s)]))
folder = ARG0
while (strlen(folder) > 0 && folder[strlen(folder):strlen(folder)] ne "/") { folder = folder[1:strlen(folder) - 1] }
table = system("awk -f " . quoted(folder . "timeline.awk") . " < " . quoted(samples))
if (GPVAL_SYSTEM_ERRNO != 0) { exit error "timeline.gp: cannot read " . samples }
set print $rows
print table
unset print

# The first line of the table: see timeline.awk.
bins = int(word(table, 2))
first = real(word(table, 3))
last = real(word(table, 4))
top(i) = (real(word(table, 4 + i)) > 0 ? real(word(table, 4 + i)) * 1.12 : 1.0)
knows(i) = int(word(table, 9 + i))
# A distance of 1, 2 or 5 times a power of ten that makes three to six steps.
power(v) = 10.0 ** floor(log10(v / 3.0))
step(v) = (v / 3.0 / power(v) >= 5 ? 5 : v / 3.0 / power(v) >= 2 ? 2 : 1) * power(v)
whole_step(v) = (step(v) < 1 ? 1 : step(v))
CORES = 1; MIB = 2; THREADS = 3; FDS = 4; MIB_S = 5
SYSTEM = 1; TOTAL = 2; DELAY = 3; RSS = 4; PSS = 5; USS = 6; THREADS_KNOWN = 7; FDS_KNOWN = 8
READ = 9; WRITE = 10; RCHAR = 11; WCHAR = 12

blue = "#3b75af"; light = "#a9c8e6"; orange = "#e08a3c"; red = "#c44e52"; green = "#4c9a5b"; purple = "#8766a8"
grey = "#8a8a8a"
PANELS = 4

# --- marks: each label goes into the lowest of six rows where it has room; without room the line stays without label
lines = ""
if (strlen(marks) > 0) {
    # Blanks in a label become no-break spaces, so that a label is one word.
    lines = system("awk -F '\t' '/^[0-9]/ && NF > 1 { gsub(/ /, \"\302\240\", $2); print $1, $2 }' < " . quoted(marks))
    if (GPVAL_SYSTEM_ERRNO != 0) { exit error "timeline.gp: cannot read " . marks }
}
mark_t(i) = real(word(lines, 2 * i - 1))
mark_label(i) = word(lines, 2 * i)
mark_shown(i) = mark_t(i) >= first && mark_t(i) <= last && last > first
ROWS = 6
# Pixels: the picture and its edges, and about what a letter takes.
WIDTH = 1100; LEFT = 82; RIGHT = 1028; LETTER = 6.6
mark_x(i) = LEFT + (mark_t(i) - first) / (last - first) * (RIGHT - LEFT)
mark_width(i) = (strlen(mark_label(i)) + 2) * LETTER
# A label that would leave the picture stands left of its line.
mark_left(i) = mark_x(i) + mark_width(i) > WIDTH
array row_end[ROWS]
do for [row = 1:ROWS] { row_end[row] = 0 }
marked = words(lines) / 2
array mark_row[marked + 1]
rows = 1
do for [i = 1:marked] {
    mark_row[i] = 0
    if (!mark_shown(i)) { continue }
    row = 1
    while (row <= ROWS && row_end[row <= ROWS ? row : 1] > mark_x(i) - (mark_left(i) ? mark_width(i) : 0)) { row = row + 1 }
    if (row > ROWS) { continue }
    mark_row[i] = row
    row_end[row] = mark_x(i) + (mark_left(i) ? 0 : mark_width(i))
    if (row > rows) { rows = row }
}

# --- what the panels share; heights in pixels from above
TOP = 80 + 17 * rows; PANEL = 152; GAP = 53
HEIGHT = TOP + PANELS * (PANEL + GAP) + 10
x(pixel) = pixel * 1.0 / WIDTH
y(pixel) = 1 - pixel * 1.0 / HEIGHT
set terminal svg size WIDTH, HEIGHT font "sans-serif,13" background rgb "white" noenhanced name "timeline"
set output out
set datafile missing "NaN"
set multiplot
set label 1 title at screen x(LEFT), screen y(24) left font "sans-serif,17"
set label 2 sprintf("%.1f s", last - first) at screen x(RIGHT), screen y(24) right textcolor rgb grey
do for [i = 1:marked] {
    if (!mark_shown(i)) { continue }
    set arrow 10 + i from first mark_t(i), graph 0 to first mark_t(i), graph 1 nohead linecolor rgb "#555555" linewidth 1 \
        dashtype 3 front
    if (mark_row[i] == 0) { continue }
    set label 10 + i mark_label(i) at first mark_t(i), screen y(TOP - 23 - 17 * mark_row[i]) left \
        font "sans-serif,12" textcolor rgb "#555555" offset 0.4, 0
    if (mark_left(i)) { set label 10 + i right offset -0.4, 0 }
}
set border 3 linecolor rgb grey
set tics nomirror out scale 0.5 textcolor rgb "#333333"
set grid ytics linetype 1 linecolor rgb "#e6e6e6" linewidth 1
set lmargin at screen x(LEFT)
set rmargin at screen x(RIGHT)
# From 0 where the first sample is as good as there.
set xrange [(first < 0.02 * (last - first) ? 0 : first):(last > first ? last : first + 1)]
set style fill solid 1 noborder
set ylabel offset 0.5, 0 textcolor rgb "#333333"

# --- the panels: each puts the curves that are known into `curves`
rate = ", $rows index 0 using (($1 + $2) / 2)"
do for [panel = 1:PANELS] {
    upper = TOP + (panel - 1) * (PANEL + GAP)
    set tmargin at screen y(upper)
    set bmargin at screen y(upper + PANEL)
    set key at screen x(RIGHT), screen y(upper - 6) right bottom horizontal samplen 1.5 font "sans-serif,12" \
        textcolor rgb "#333333"
    curves = ""
    if (panel < PANELS) { set format x "" } else {
        set format x "%g"
        set xlabel "time since the sampler started (s)" textcolor rgb "#333333"
    }
    if (panel == 1) {
        set ylabel "CPU (cores)"
        set yrange [0:top(CORES)]
        set ytics step(top(CORES))
        if (knows(TOTAL)) { curves = curves . ", $rows index 0 using 2:4:1:2:(0):4 with boxxyerror linecolor rgb light title 'user'" }
        if (knows(SYSTEM)) { curves = curves . ", $rows index 0 using 2:3:1:2:(0):3 with boxxyerror linecolor rgb orange title 'system'" }
        if (knows(DELAY)) { curves = curves . rate . ":5 with lines linecolor rgb red linewidth 1.5 title 'waiting for a CPU'" }
    }
    if (panel == 2) {
        # The labels of the marks, and the title, stand above the first panel only.
        do for [i = 1:10 + marked] { unset label i }
        set ylabel "memory (MiB)"
        set yrange [0:top(MIB)]
        set ytics step(top(MIB))
        if (knows(RSS)) { curves = curves . ", $rows index 0 using 2:10 with lines linecolor rgb blue linewidth 2 title 'RSS'" }
        if (knows(PSS)) { curves = curves . ", $rows index 1 using 1:2 with linespoints linecolor rgb green linewidth 1.5 pointtype 7 pointsize 0.3 title 'PSS'" }
        if (knows(USS)) { curves = curves . ", $rows index 1 using 1:3 with lines linecolor rgb purple linewidth 1.5 dashtype 2 title 'USS'" }
    }
    if (panel == 3) {
        set ylabel "threads"
        set yrange [0:top(THREADS)]
        set ytics whole_step(top(THREADS))
        set y2label "open files" offset -0.5, 0 textcolor rgb "#333333"
        set y2range [0:top(FDS)]
        set y2tics whole_step(top(FDS))
        if (knows(THREADS_KNOWN)) { curves = curves . ", $rows index 0 using 2:11 with lines linecolor rgb blue linewidth 2 title 'threads'" }
        if (knows(FDS_KNOWN)) { curves = curves . ", $rows index 0 using 2:12 axes x1y2 with lines linecolor rgb orange linewidth 1.5 title 'open files (right)'" }
    }
    if (panel == 4) {
        unset y2label
        unset y2tics
        set ylabel "I/O (MiB/s)"
        set yrange [0:top(MIB_S)]
        set ytics step(top(MIB_S))
        if (knows(RCHAR)) { curves = curves . rate . ":8 with lines linecolor rgb light linewidth 1.5 title 'read calls'" }
        if (knows(WCHAR)) { curves = curves . rate . ":9 with lines linecolor rgb '#f0c193' linewidth 1.5 title 'write calls'" }
        if (knows(READ)) { curves = curves . rate . ":6 with lines linecolor rgb blue linewidth 1.5 title 'from storage'" }
        if (knows(WRITE)) { curves = curves . rate . ":7 with lines linecolor rgb orange linewidth 1.5 title 'to storage'" }
    }
    if (strlen(curves) == 0) {
        set label 9 "not recorded" at graph 0.5, graph 0.5 center textcolor rgb grey
        curves = ", -1 notitle" # below the panel
    }
    eval "plot" . curves[2:strlen(curves)]
    unset label 9
}
unset multiplot
