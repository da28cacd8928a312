// What a person would have trouble with on a page: runs in the page. With `all` also texts that are not to be seen now.
export const measure = (all) => {
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && !element.closest("svg, style, script")
    && (all || element.checkVisibility()));
  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    const [red, green, blue] = colour.match(/[\d.]+/g).map((value) => channel(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if (!colour.startsWith("rgba(")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  // WCAG 2.2, 1.4.3: contrast.
  const contrasts = texts.map((element) => {
    const both = [getComputedStyle(element).color, background(element)].map(luminance).sort((a, b) => b - a);
    return { text: element.textContent.slice(0, 40), contrast: (both[0] + 0.05) / (both[1] + 0.05) };
  });
  const isNamed = (element) => element.labels?.length || element.getAttribute("aria-label") || element.textContent.trim() || element.type === "hidden";
  return {
    width: document.documentElement.scrollWidth,
    smallest: Math.min(...texts.map((element) => parseFloat(getComputedStyle(element).fontSize))),
    handlers: [...document.querySelectorAll("*")].filter((element) => element.getAttributeNames().some((name) => name.startsWith("on"))).length,
    styled: document.querySelectorAll("[style]").length,
    headings: [...document.querySelectorAll("h1, h2, h3")].map((heading) => Number(heading.tagName[1])),
    faint: contrasts.filter(({ contrast }) => contrast < 4.5),
    landmarks: ["header", "main", "footer"].filter((name) => document.querySelectorAll(`body > ${name}`).length === 1),
    uncaptioned: [...document.querySelectorAll("table")].filter((table) => !table.caption || !table.querySelector("th[scope]")).length,
    unnamed: [...document.querySelectorAll("button, input, select, a")].filter((element) => !isNamed(element)).map((element) => element.outerHTML),
    ids: [...document.querySelectorAll("[id]")].map((element) => element.id).filter((id, at, ids) => ids.indexOf(id) !== at),
  };
};
