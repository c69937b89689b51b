/** Icons of 20 by 20, for the eye only. */
const icon = (d: string) =>
  function Icon() {
    return (
      <svg className="icon" viewBox="0 0 20 20" aria-hidden="true">
        <path d={d} />
      </svg>
    )
  }

export const Cross = icon('M5 5l10 10M15 5L5 15')
export const Eye = icon('M2 10c2-3.500 4.700-5 8-5s6 1.500 8 5c-2 3.500-4.700 5-8 5s-6-1.500-8-5ZM10 7.700a2.300 2.300 0 1 0 0 4.600a2.300 2.300 0 1 0 0-4.600')
export const List = icon('M3 5h14M3 10h14M3 15h9')
export const Find = icon('M9 3.500a5.500 5.500 0 1 0 0 11a5.500 5.500 0 1 0 0-11M13.200 13.200L17 17')
export const Document = icon('M5 2.500h7l3 3v12H5ZM12 2.500v3h3M7.500 9.500h5M7.500 13h5')
export const Person = icon('M10 3a3.200 3.200 0 1 0 0 6.400a3.200 3.200 0 1 0 0-6.400M3.500 17c.5-3.600 3-5.500 6.500-5.500s6 1.900 6.500 5.500')
export const People = icon('M7.500 4a2.800 2.800 0 1 0 0 5.600a2.800 2.800 0 1 0 0-5.600M2 16.500c.4-3.200 2.500-4.800 5.500-4.800s5.100 1.600 5.500 4.800M13 4.500a2.500 2.500 0 0 1 0 4.800M14.800 12c1.800.6 2.900 2.100 3.200 4.500')
export const Scales = icon('M10 3v14M6 17h8M3.500 6h13M3.500 6L1.500 11h4ZM16.500 6l-2 5h4Z')
export const Layers = icon('M10 3l7.500 4L10 11L2.500 7ZM2.500 11l7.500 4l7.500-4')
export const Pulse = icon('M2 10h4l2-5.500l4 11l2-5.500h4')
export const Gear = icon('M10 7.200a2.800 2.800 0 1 0 0 5.600a2.800 2.800 0 1 0 0-5.600M10 2v2.400M10 15.600V18M2 10h2.400M15.600 10H18M4.300 4.300L6 6M14 14l1.700 1.700M15.700 4.300L14 6M6 14l-1.700 1.700')
export const Sun = icon('M10 6.500a3.500 3.500 0 1 0 0 7a3.500 3.500 0 1 0 0-7M10 1.500v2M10 16.500v2M1.500 10h2M16.500 10h2M4 4l1.400 1.400M14.600 14.600L16 16M16 4l-1.400 1.400M5.400 14.600L4 16')
export const Moon = icon('M16.500 12A7 7 0 0 1 8 3.500a7 7 0 1 0 8.500 8.500Z')
export const Menu = icon('M3 5h14M3 10h14M3 15h14')
export const Keyboard = icon('M2 5.500h16v9H2ZM5 8.500h.01M8 8.500h.01M11 8.500h.01M14.500 8.500h.01M6.500 11.800h7')
export const Leave = icon('M8 3.500H4v13h4M12 6.500l3.500 3.500l-3.500 3.500M7.500 10h8')
