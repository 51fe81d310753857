//! A fixed amount of fan-out, for counting instructions: `instructions READERS LINES TURNS`. `benches/count` runs it.

mod room;

use room::{Room, lines};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let (Some(readers), Some(count), Some(turns)) = (numbers.next(), numbers.next(), numbers.next()) else {
        // `cargo bench` without arguments runs this too.
        println!("benches/count runs this under callgrind, with READERS LINES TURNS");
        return;
    };
    let mut room = Room::of(readers);
    let input = lines(count);
    for _ in 0..turns {
        room.turn(&input);
    }
    println!("{} bytes", room.kernels.bytes);
}
