/// Text that may come from an attacker, shown so that it can neither run nor deceive.
import { Box } from '@mantine/core';
import { inertPieces } from './inert';

export function Inert({ children }: { children: string }) {
  const pieces = inertPieces(children);
  return (
    <bdi>
      {pieces.map((piece, index) =>
        piece.escaped ? (
          <Box key={index} component="span" className="inert-escape" title="An invisible or control character, shown by its code">
            {piece.text}
          </Box>
        ) : (
          piece.text
        ),
      )}
    </bdi>
  );
}
