// Returns the texts of the page whose contrast with what is behind them is less than 4.5.
(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rgb = (layers) => {
    context.clearRect(0, 0, 1, 1);
    for (const color of layers) {
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (color) =>
    color.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  const luminance = (color) => {
    const [r, g, b] = light(color);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()).length;
    if (!text || !element.getClientRects().length || element.closest(".unseen")) continue;
    const behind = [];
    for (let above = element; above; above = above.parentElement)
      behind.unshift(getComputedStyle(above).backgroundColor);
    const ground = rgb(["Canvas", ...behind]);
    const ink = rgb([`rgb(${ground})`, getComputedStyle(element).color]);
    const [high, low] = [luminance(ink), luminance(ground)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) poor.push(`${element.className} ${element.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return poor;
})();
