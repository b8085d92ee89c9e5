# SPDX-License-Identifier: MIT
# What the loader used over time: CPU, memory, threads, I/O, with the marks of the run.
#
#   gnuplot -e "samples='samples.tsv'; marks='marks.tsv'; out='timeline.svg'; title='QDrant Loader'" timeline.gp
#
# samples: TSV of procsample (its `total` rows). marks: TSV, seconds and label. Both are names in the current folder.
# What is not known (n/a) is left out.

# Total rows as one table: t, user, system and run-queue delay in cores over the last half second, RSS, PSS and USS in
# MiB, threads, file descriptors, MB/s read and written.
table = "< awk -F '\\t' 'function d(c, k) { return (v[c] == \"n/a\" || o[c] == \"n/a\") ? \"nan\" : (v[c] - o[c]) / k } \
    /^#/ { next } !h++ { for (i = 1; i <= NF; i++) n[i] = $i; next } \
    { for (i = 1; i <= NF; i++) v[n[i]] = $i } v[\"pid\"] != \"total\" { next } \
    !s++ { for (i in v) o[i] = v[i]; next } \
    { dt = v[\"t_s\"] - o[\"t_s\"]; if (dt < 0.45) next; \
      print v[\"t_s\"], d(\"cpu_user_s\", dt), d(\"cpu_system_s\", dt), d(\"run_delay_s\", dt), \
        v[\"rss_kib\"] == \"n/a\" ? \"nan\" : v[\"rss_kib\"] / 1024, v[\"pss_kib\"] == \"n/a\" ? \"nan\" : v[\"pss_kib\"] / 1024, \
        v[\"uss_kib\"] == \"n/a\" ? \"nan\" : v[\"uss_kib\"] / 1024, v[\"threads\"] == \"n/a\" ? \"nan\" : v[\"threads\"], \
        v[\"fds\"] == \"n/a\" ? \"nan\" : v[\"fds\"], d(\"io_read_bytes\", dt * 1e6), d(\"io_write_bytes\", dt * 1e6); \
      for (i in v) o[i] = v[i] }' " . samples
points = "< awk -F '\\t' '/^#/ { next } !h++ { for (i = 1; i <= NF; i++) c[$i] = i; next } \
    $c[\"pid\"] == \"total\" && $c[\"pss_kib\"] > 0 { print $c[\"t_s\"], $c[\"pss_kib\"] / 1024, $c[\"uss_kib\"] / 1024 }' " . samples
# Two rows are needed for a rate; the range of a shorter file is that of the file.
last = system("awk -F '\\t' '/^#/ { next } !h++ { for (i = 1; i <= NF; i++) c[$i] = i; next } { t = $c[\"t_s\"] } END { print t + 0 }' " . samples)
last = last > 0 ? last : 1

set terminal svg size 1100,900 dynamic enhanced font "sans-serif,13" background "#ffffff"
set output out
set multiplot layout 4,1 title title font ",17" margins 0.075, 0.86, 0.06, 0.92 spacing 0.035
set encoding utf8
set datafile missing "nan"
set xrange [0:last]
set border 3 lc rgb "#888888"
set tics nomirror textcolor rgb "#444444"
set grid y lc rgb "#dddddd" lw 1
set key outside right top Left reverse samplen 1.5 textcolor rgb "#333333"
set ylabel offset 1,0 textcolor rgb "#333333"
set format x ""
set style fill solid 0.75 noborder

# Marks: a line through every panel; the label stands once, above the first.
n_marks = system("grep -c . " . marks . " 2>/dev/null || echo 0") + 0
do for [i = 1:n_marks] {
    at = system(sprintf("sed -n %dp %s | cut -f1", i, marks)) + 0
    if (at >= 0 && at <= last) {
        set arrow i from first at, graph 0 to first at, graph 1 nohead lc rgb "#999999" dt 2 lw 1
        set label i system(sprintf("sed -n %dp %s | cut -f2", i, marks)) at first at, graph 1.04 rotate by 20 font ",11" textcolor rgb "#555555"
    }
}

set ylabel "CPU, cores"
set yrange [0:*]
plot table using 1:($2 + $3 + $4) with filledcurves y1=0 lc rgb "#cfd8dc" title "waiting for a CPU", \
     table using 1:($2 + $3) with filledcurves y1=0 lc rgb "#e07a3f" title "system", \
     table using 1:2 with filledcurves y1=0 lc rgb "#f2b56b" title "user"
do for [i = 1:n_marks] { unset label i }
set ylabel "memory, MiB"
plot table using 1:5 with lines lw 2 lc rgb "#3f6fb5" title "RSS", \
     points using 1:2 with lines lw 1.5 lc rgb "#7fb3d5" title "PSS", \
     points using 1:3 with lines lw 1.5 dt 2 lc rgb "#555555" title "USS"
set ylabel "count"
plot table using 1:8 with steps lw 2 lc rgb "#6a9955" title "threads", \
     table using 1:9 with steps lw 2 lc rgb "#a97fc0" title "open files"
set ylabel "disk, MB/s"
set format x "%g"
set xlabel "seconds since the sampler started" textcolor rgb "#333333" offset 0,0.4
plot table using 1:10 with lines lw 2 lc rgb "#3f6fb5" title "read", \
     table using 1:11 with lines lw 2 lc rgb "#e07a3f" title "written"
unset multiplot
