#include "base/progress.h"

#include <inttypes.h>
#include <string.h>

enum { BAR_MAX = 40, BAR_MIN = 5 };

void ego_meter_time(double seconds, ego_buf *line) {
    if (!(seconds >= 0)) seconds = 0;
    if (seconds > 999 * 3600.0) {
        ego_buf_text(line, ">999 h");
        return;
    }
    unsigned s = (unsigned)(seconds + 0.5);
    if (s >= 3600)
        ego_buf_printf(line, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        ego_buf_printf(line, "%u:%02u", s / 60, s % 60);
}

/* Units a second with three digits that matter, 0 while nothing can be said. */
static double rate_of(const ego_meter *m) {
    double spent = m->now - m->started;
    uint64_t now_done = m->done > m->done_before ? m->done - m->done_before : 0;
    return spent > 0.05 ? (double)now_done / spent : 0;
}

static void bar(double share, int cells, ego_buf *line) {
    int full = (int)(share * cells);
    ego_buf_text(line, " [");
    for (int i = 0; i < cells; i++) ego_buf_char(line, i < full ? '#' : '-');
    ego_buf_char(line, ']');
}

static void rate_text(double rate, ego_buf *line) {
    ego_buf_printf(line, rate < 10 ? "  %.2f/s" : rate < 1000 ? "  %.1f/s" : "  %.0f/s", rate);
}

void ego_meter_line(const ego_meter *m, int columns, ego_buf *line) {
    size_t start = line->len;
    ego_buf tail = {0};
    double rate = rate_of(m), share = 1;
    ego_buf_printf(line, "%s  %" PRIu64, m->what, m->done);
    if (m->total) {
        uint64_t left = m->done < m->total ? m->total - m->done : 0;
        share = (double)(m->total - left) / (double)m->total;
        ego_buf_printf(line, "/%" PRIu64, m->total);
        ego_buf_printf(&tail, " %3d%%", (int)(share * 100));
        if (rate > 0) {
            rate_text(rate, &tail);
            ego_buf_text(&tail, "  ");
            ego_meter_time((double)left / rate, &tail);
            ego_buf_text(&tail, " left");
        }
    } else if (rate > 0) {
        rate_text(rate, &tail);
    }
    size_t used = line->len - start + tail.len;
    if (m->note && used + 2 + strlen(m->note) <= (size_t)columns)
        ego_buf_printf(&tail, "  %s", m->note);
    int room = columns - (int)(line->len - start) - (int)tail.len - 3;
    if (room > BAR_MAX) room = BAR_MAX;
    if (m->total && room >= BAR_MIN) bar(share, room, line);
    ego_buf_append(line, tail.data ? tail.data : "", tail.len);
    if (columns >= 0 && line->len - start > (size_t)columns) {
        line->len = start + (size_t)columns;
        line->data[line->len] = 0;
    }
    ego_buf_release(&tail);
}
