#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A flame graph in a real browser: tests/e2e/flamegraph_browser.py holds the checks.
load ../lib/common

check() {
    run -0 timeout 120 python3 "$ROOT/tests/e2e/flamegraph_browser.py" "$1" "$BIN/flamegraph" "$FIXTURES/stacks" "$BATS_TEST_TMPDIR"
}

@test "the picture fits the window, and labels fit their frames" { check fits_the_window; }
@test "a click zooms, Reset and Esc take it back" { check a_click_zooms; }
@test "zoomed frames have their exact widths, however narrow they were drawn" { check narrow_frames_are_exact_when_zoomed; }
@test "search marks frames and sums them up, nested ones once" { check search_marks_and_sums; }
@test "the mouse over a frame shows its details" { check details_follow_the_mouse; }
@test "the details of a difference name the other run" { check details_of_a_difference; }
@test "arrow keys go from frame to frame, Enter zooms" { check keys_walk_and_zoom; }
@test "the callers of a tall picture come into view when somebody looks" { check the_callers_come_into_view; }
@test "a click on the legend marks what has that colour" { check the_legend_marks; }
@test "a link opens zoomed and searched as it was" { check a_link_opens_as_it_was; }
@test "hostile names run nothing and ask nothing of the network" { check hostile_names_do_nothing; }
@test "it works within a page, and changes nothing of that" { check works_within_a_page; }
@test "it is seen where scripts do not run" { check is_seen_without_script; }
@test "all text has contrast enough, light and dark" { check text_can_be_read; }
