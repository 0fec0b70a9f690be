// Draws the charts of a page (templates/charts/chart.html) with Bokeh, takes in the points of a live run, smooths.
(() => {
  const { Bokeh } = window;
  if (!Bokeh) return; // the small drawings stay

  const model = (name, values) => new (Bokeh.Models.get(name))(values);
  const LANGUAGE = document.documentElement.lang;
  const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [14, 4], [5, 2, 1, 2]];
  const KEEP = 1200; // points of a line; more are thinned
  const charts = [];
  const page = document.getElementById("charts");
  const slider = document.getElementById("smoothing");

  // A colour of the style sheet, as it is in today's scheme.
  const probe = document.body.appendChild(Object.assign(document.createElement("span"), { hidden: true }));
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };

  // The exponential moving average of TensorBoard: the first points are not drawn towards zero.
  function smoothed(values, weight) {
    let last = 0;
    let share = 1;
    return values.map((value) => {
      last = last * weight + value * (1 - weight);
      share *= weight;
      return last / (1 - share);
    });
  }

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.spec = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
      this.lines = this.spec.lines;
      this.readout = figure.querySelector(".readout");
      this.box = figure.querySelector(".plot");
    }

    draw() {
      const { spec } = this;
      this.axes = ["below", "left"].map((side, dimension) => {
        const label = dimension ? spec.y : spec.xTitle;
        const formatter = model("BasicTickFormatter", {});
        formatter.doFormat = (ticks) => ticks.map((tick) => (dimension ? this.number(tick, 0) : this.place(tick)));
        const ticker = model("BasicTicker", { desired_num_ticks: dimension ? 4 : 5, ...(dimension ? {} : { min_interval: 1 }) });
        return model("LinearAxis", { axis_label: label, formatter, ticker, minor_tick_line_color: null, axis_line_color: null, major_tick_line_color: null });
      });
      this.plot = model("Plot", {
        x_range: model("DataRange1d", { range_padding: 0.02 }), y_range: model("DataRange1d", { range_padding: 0.1 }),
        sizing_mode: "stretch_both", toolbar_location: null, min_border: 4, outline_line_color: null,
        background_fill_color: null, border_fill_color: null,
      });
      this.plot.add_layout(this.axes[0], "below");
      this.plot.add_layout(this.axes[1], "left");
      this.grids = this.axes.slice(1).map((axis) => model("Grid", { axis, dimension: 1 }));
      this.grids.forEach((grid) => this.plot.add_layout(grid, "center"));
      this.parts = this.lines.map((line) => this.drawLine(line));
      this.mark = model("Span", { dimension: "height", location: null, line_width: 1, level: "underlay" });
      this.plot.add_layout(this.mark, "center");
      // A finger scrolls the page; a mouse draws the part to look at, and two clicks go back.
      if (matchMedia("(pointer: fine)").matches) {
        this.zoom = model("BoxZoomTool", { dimensions: "auto" });
        this.plot.add_tools(this.zoom);
      }
      this.plot.on_event("doubletap", () => this.reset());
      this.plot.on_event("mousemove", (event) => charts.forEach((chart) => chart.point(event.x)));
      this.plot.on_event("mouseleave", () => charts.forEach((chart) => chart.point(null)));
      this.refresh();
      this.colours();
      const { Document } = Bokeh.require("document/index");
      const doc = new Document();
      doc.config.notifications = null;
      doc.add_root(this.plot);
      this.box.querySelector(".drawn").remove();
      this.box.classList.add("live");
      return Bokeh.embed.add_document_standalone(doc, this.box).then((views) => { this.view = views.get(this.plot); });
    }

    drawLine(line) {
      const source = model("ColumnDataSource", { data: { x: [], raw: [], y: [] } });
      const add = (name, values) => {
        const glyph = model(name, values);
        this.plot.add_renderers(model("GlyphRenderer", { data_source: source, glyph }));
        return glyph;
      };
      const glyphs = {};
      const dash = DASHES[line.style - 1];
      if (line.low.length) glyphs.interval = add("Segment", { x0: { field: "x" }, x1: { field: "x" }, y0: { field: "low" }, y1: { field: "high" }, line_width: 2, line_alpha: 0.6 });
      if (this.spec.smooth) glyphs.raw = add("Line", { x: { field: "x" }, y: { field: "raw" }, line_width: 1, line_alpha: 0.35 });
      glyphs.line = add("Line", { x: { field: "x" }, y: { field: "y" }, line_width: 2, line_dash: dash, line_join: "round" });
      if (this.spec.markers) glyphs.points = add("Scatter", { x: { field: "x" }, y: { field: "y" }, size: 8 });
      return { source, glyphs };
    }

    colours() {
      const [soft, faint, font] = [colour("--ink-soft"), colour("--line"), getComputedStyle(document.body).fontFamily];
      for (const axis of this.axes) {
        Object.assign(axis, {
          major_label_text_color: soft, major_label_text_font: font, major_label_text_font_size: "12px",
          axis_label_text_color: soft, axis_label_text_font: font, axis_label_text_font_size: "12px", axis_label_text_font_style: "normal",
        });
      }
      for (const grid of this.grids) grid.grid_line_color = faint;
      this.mark.line_color = colour("--line-strong");
      if (this.zoom) Object.assign(this.zoom.overlay, { line_color: soft, line_width: 1, line_dash: [], fill_color: soft, fill_alpha: 0.15 });
      this.parts.forEach(({ glyphs }, number) => {
        const paint = colour(`--line-${this.lines[number].style}`);
        for (const [name, glyph] of Object.entries(glyphs)) {
          glyph.line_color = paint;
          if (name === "points") glyph.fill_color = paint;
        }
      });
    }

    refresh() {
      const weight = this.spec.smooth && slider ? Number(slider.value) : 0;
      this.lines.forEach((line, number) => {
        this.parts[number].source.data = { x: [...line.x], raw: [...line.y], y: smoothed(line.y, weight), ...(line.low.length ? { low: line.low, high: line.high } : {}) };
      });
    }

    // `points`: {key: [steps, values]} from step `from` on. What was there of these steps was done again.
    take(points, from) {
      let changed = false;
      for (const line of this.lines) {
        const keep = from === null ? -1 : line.x.findIndex((step) => step >= from);
        if (keep >= 0) line.x.length = line.y.length = keep;
        const more = points[line.key];
        if (more) {
          line.x.push(...more[0]);
          line.y.push(...more[1]);
          while (line.x.length > KEEP) for (const name of ["x", "y"]) line[name] = line[name].filter((_, n) => n % 2 || n > KEEP / 2);
        }
        changed ||= keep >= 0 || Boolean(more);
      }
      if (!changed) return;
      const drawn = !this.figure.hidden;
      this.figure.hidden = !this.lines.some((line) => line.x.length);
      if (this.figure.hidden) return;
      if (drawn || this.view) this.refresh(); else this.draw();
    }

    say(sentence) {
      this.figure.querySelector("[data-sentence]").textContent = sentence;
      this.box.setAttribute("aria-label", `${this.figure.querySelector("b").textContent}. ${sentence}`);
    }

    // What the lines say at `x`; every chart of the page shows the same place.
    point(x) {
      if (!this.view) return;
      const steps = this.lines[0].x;
      if (x === null || !steps.length) {
        this.mark.location = null;
        this.readout.textContent = "";
        return;
      }
      const near = (all) => all.reduce((best, value, n) => (Math.abs(value - x) < Math.abs(all[best] - x) ? n : best), 0);
      const said = this.lines.filter((line) => line.x.length).map((line) => `${this.lines.length > 1 ? `${line.name} ` : ""}${this.number(line.y[near(line.x)])}`);
      const place = steps[near(steps)];
      this.mark.location = place;
      const where = [this.spec.days ? "" : this.spec.x, this.place(place)].filter(Boolean).join(" ");
      this.readout.textContent = `${where}: ${said.join(" · ")}`;
    }

    // A place on the x axis: a number, or a day.
    place(x) {
      if (!this.spec.days) return x.toLocaleString(LANGUAGE);
      return new Date(x * 864e5).toLocaleDateString(LANGUAGE, { day: "numeric", month: "short", timeZone: "UTC" });
    }

    // As training/reports/progress.py says figures.
    number(value, decimals = 1) {
      if (this.spec.percent) return `${(100 * value).toFixed(decimals)} %`;
      const size = Math.abs(value);
      if (value && (size < 1e-3 || size >= 1e6)) return Number(value.toPrecision(3)).toExponential().replace("-", "−").replace("+", "");
      return Number(value.toPrecision(4)).toLocaleString(LANGUAGE, { maximumFractionDigits: 10 }).replace("-", "−");
    }

    reset() { this.view?.reset(); }
  }

  // The charts on the page now; htmx may have brought new ones in place of old.
  function gather() {
    for (const gone of charts.filter((chart) => !chart.figure.isConnected)) charts.splice(charts.indexOf(gone), 1);
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      if (charts.some((chart) => chart.figure === figure)) continue;
      const chart = new Chart(figure);
      charts.push(chart);
      if (!figure.hidden) chart.draw();
    }
  }
  gather();
  document.addEventListener("htmx:afterSettle", gather);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.axes && chart.colours()));

  // ---- smoothing, and back to the whole ----
  const controls = document.getElementById("chart-controls");
  if (controls) {
    controls.hidden = false;
    const shown = controls.querySelector("output");
    const smooth = () => {
      shown.textContent = Number(slider.value).toFixed(2);
      charts.forEach((chart) => chart.axes && chart.refresh());
    };
    slider.value = localStorage.getItem("konomi.smoothing") ?? slider.value;
    slider.addEventListener("input", () => {
      localStorage.setItem("konomi.smoothing", slider.value);
      smooth();
    });
    controls.querySelector("button").addEventListener("click", () => charts.forEach((chart) => chart.reset()));
    smooth();
  }

  // ---- a live run: each poll brings what is new as JSON in #news ----
  let taken = null;
  function takeNews() {
    const script = document.getElementById("news");
    if (!script || script === taken) return;
    taken = script;
    const news = JSON.parse(script.textContent);
    document.querySelector("#poll [name=offset]").value = news.offset;
    if (page) page.hidden &&= !Object.keys(news.points).length;
    for (const chart of charts) {
      chart.take(news.points, news.from);
      if (news.sentences[chart.figure.dataset.chart]) chart.say(news.sentences[chart.figure.dataset.chart]);
    }
    const log = document.getElementById("log-text");
    if (log && news.log && log.textContent !== news.log) {
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
      log.textContent = news.log;
      if (atEnd) log.scrollTop = log.scrollHeight;
      log.closest("section").hidden = false;
    }
  }
  takeNews();
  document.addEventListener("htmx:afterSettle", takeNews);
})();
