/// The mark.
export function Logo({ size }: { size: number }) {
  return <img src="/doorman.svg" width={size} height={size} alt="" />;
}
