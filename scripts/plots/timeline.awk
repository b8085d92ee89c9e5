# SPDX-License-Identifier: MIT
# The `total` rows of samples.tsv as timeline.gp draws them: at most 600 bins, rates instead of sums since the start.
#
# First line: "# keys" for the gnuplot program:  # bins first_t last_t max_cores max_mib max_threads max_fds max_mib_s
# and which series are known (1 or 0):           system total delay rss pss uss threads fds read write rchar wchar
# Then one line a bin:     from to system total delay read write rchar wchar rss threads fds     (cores, MiB/s, MiB)
# Two empty lines, and one line a reading of PSS:    t pss uss     (MiB)
# What is not known is NaN.

BEGIN {
    FS = "\t"
    MOST = 600
    SUMS = split("cpu_user_s cpu_system_s oncpu_s run_delay_s io_read_bytes io_write_bytes io_rchar io_wchar", sum, " ")
    GAUGES = split("rss_kib threads fds", gauge, " ")
    bins = readings = 0
    width = 0
}

/^#/ { next }

!(("t_s") in at) {
    for (i = 1; i <= NF; i++)
        at[$i] = i
    fields = NF
    next
}

# A row that was cut by a kill has too few fields.
$at["pid"] != "total" || NF < fields { next }

{
    t = $at["t_s"] + 0
    if (bins == 0 || t - from[bins] >= width) {
        if (bins == MOST)
            halve()
        from[++bins] = t
    }
    to[bins] = t
    for (i = 1; i <= SUMS; i++)
        if (value(sum[i]) != "")
            last[bins, i] = value(sum[i])
    for (i = 1; i <= GAUGES; i++)
        raise(bins, i, value(gauge[i]))
    if (value("pss_kib") != "" || value("uss_kib") != "") {
        readings++
        pss_t[readings] = t
        pss[readings] = value("pss_kib")
        uss[readings] = value("uss_kib")
    }
}

# The number in a column of this row, or "" where there is none.
function value(name) {
    return (name in at) && $at[name] != "n/a" ? $at[name] + 0 : ""
}

function raise(bin, i, v) {
    if (v != "" && (!((bin, i) in most) || v > most[bin, i]))
        most[bin, i] = v
}

# Makes one bin of two.
function halve(    b, i, half) {
    half = MOST / 2
    for (b = 1; b <= MOST; b++) {
        i = int((b + 1) / 2)
        if (b % 2)
            from[i] = from[b]
        to[i] = to[b]
        merge(b, i)
    }
    bins = half
    width = width > 0 ? 2 * width : (to[half] - from[1]) / half
}

function merge(b, into,    i) {
    for (i = 1; i <= SUMS; i++)
        if ((b, i) in last) {
            last[into, i] = last[b, i]
            if (b != into)
                delete last[b, i]
        }
    for (i = 1; i <= GAUGES; i++)
        if ((b, i) in most) {
            if (b % 2)
                most[into, i] = most[b, i]
            else
                raise(into, i, most[b, i])
            if (b != into)
                delete most[b, i]
        }
}

# What a second of bin b added to a sum, divided by unit.
function rate(b, i, unit,    v) {
    if (b == 1 || !((b - 1, i) in last) || !((b, i) in last) || to[b] <= to[b - 1])
        return "NaN"
    v = (last[b, i] - last[b - 1, i]) / (to[b] - to[b - 1]) / unit
    return v < 0 ? 0 : v
}

function known(name, v) {
    if (v != "NaN")
        has[name] = 1
    return v
}

function larger(name, v) {
    if (v != "NaN" && v > max[name])
        max[name] = v
    return v
}

function gauge_of(b, i, unit) {
    return ((b, i) in most) ? most[b, i] / unit : "NaN"
}

END {
    MIB = 1048576
    for (b = 1; b <= bins; b++) {
        user = rate(b, 1, 1)
        system_ = known("system", rate(b, 2, 1))
        total = rate(b, 3, 1)
        if (total == "NaN" && user != "NaN" && system_ != "NaN")
            total = user + system_
        known("total", larger("cores", total))
        if (total != "NaN" && system_ != "NaN" && system_ > total)
            system_ = total
        delay = known("delay", larger("cores", rate(b, 4, 1)))
        line = (b > 1 ? to[b - 1] : from[b]) " " to[b] " " system_ " " total " " delay
        line = line " " known("read", larger("mib_s", rate(b, 5, MIB)))
        line = line " " known("write", larger("mib_s", rate(b, 6, MIB)))
        line = line " " known("rchar", larger("mib_s", rate(b, 7, MIB)))
        line = line " " known("wchar", larger("mib_s", rate(b, 8, MIB)))
        line = line " " known("rss", larger("mib", gauge_of(b, 1, 1024)))
        line = line " " known("threads", larger("threads", gauge_of(b, 2, 1)))
        line = line " " known("fds", larger("fds", gauge_of(b, 3, 1)))
        out = out line "\n"
    }
    out = out "\n\n"
    for (i = 1; i <= readings; i++) {
        line = known("pss", pss[i] == "" ? "NaN" : larger("mib", pss[i] / 1024))
        out = out pss_t[i] " " line " " known("uss", uss[i] == "" ? "NaN" : uss[i] / 1024) "\n"
    }
    printf "# %d %.6f %.6f", bins, from[1], to[bins]
    n = split("cores mib threads fds mib_s", names, " ")
    for (i = 1; i <= n; i++)
        printf " %.6f", max[names[i]]
    n = split("system total delay rss pss uss threads fds read write rchar wchar", names, " ")
    for (i = 1; i <= n; i++)
        printf " %d", has[names[i]]
    printf "\n%s", out
}
